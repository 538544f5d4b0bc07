"""Makes images.json: convolutions with dilation and groups, pools with dilation and ceil mode, resizing and
padding of images, by PyTorch and Keras on the CPU, in f32 and f64.

A case names our layer and its options. Its arrays have the framework's layout: channels first in PyTorch,
channels last in Keras.
"""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
from torch import nn

from golden import draw, write

SEED = 29


def pair(value):
    return [value, value] if isinstance(value, int) else list(value)


def numpy(tensor):
    return tensor.detach().cpu().numpy().copy()


def case(rng, framework, layer, options, dtype, function, shape, params):
    """One forward and backward pass. `params` are tensors by our names, which require gradients."""
    x = torch.tensor(draw(rng, *shape), dtype=dtype).requires_grad_()
    y = function(x)
    dout = draw(rng, *y.shape)
    y.backward(torch.tensor(dout, dtype=dtype))
    return {
        "framework": framework, "layer": layer, "options": options,
        "dtype": str(dtype).removeprefix("torch."),
        "x": numpy(x), "dout": dout, "y": numpy(y), "dx": numpy(x.grad),
        "params": [{"name": name, "value": numpy(p), "grad": numpy(p.grad)} for name, p in params.items()],
    }  # fmt: skip


def of_torch(rng, dtype, layer, options, module, shape):
    module = module.to(dtype)
    params = dict(module.named_parameters())
    with torch.no_grad():
        for p in params.values():
            p.copy_(torch.tensor(draw(rng, *p.shape, std=0.5), dtype=dtype))
    return case(rng, "torch", layer, options, dtype, module, shape, params)


def of_keras(rng, dtype, layer, options, module, shape):
    module.build(shape)
    params = {}
    for variable in module.trainable_variables:
        variable.assign(draw(rng, *variable.shape, std=0.5))
        params["bias" if variable.name == "bias" else "weight"] = variable.value
    result = case(rng, "keras", layer, options, dtype, module, shape, params)
    for param in result["params"]:
        if isinstance(module, keras.layers.DepthwiseConv2D) and param["name"] == "weight":
            # (rows, columns, in, multiplier) as (rows, columns, 1, in·multiplier)
            for key in ["value", "grad"]:
                rows, columns, *_ = param[key].shape
                param[key] = param[key].reshape(rows, columns, 1, -1)
    return result


def window(kernel, stride=1, padding=0, dilation=1, **more):
    """Options in our words; the padding is `same` or PyTorch's."""
    if padding != "same":
        rows, columns = pair(padding)
        padding = [rows, rows, columns, columns]
    return {"kernel": pair(kernel), "stride": pair(stride), "padding": padding, "dilation": pair(dilation), **more}


def torch_convolutions(t):
    def conv(shape, out, kernel, stride=1, padding=0, dilation=1, groups=1, bias=True):
        options = window(kernel, stride, padding, dilation, groups=groups, filters=out)
        t("Conv2d", options, nn.Conv2d(shape[1], out, kernel, stride, padding, dilation, groups, bias), shape)

    def transpose(shape, out, kernel, stride=1, padding=0, output_padding=0, dilation=1, groups=1, bias=True):
        options = window(kernel, stride, padding, dilation, groups=groups, filters=out)
        options["output_padding"] = pair(output_padding)
        module = nn.ConvTranspose2d(
            shape[1], out, kernel, stride, padding, output_padding, groups, bias, dilation
        )  # fmt: skip
        t("ConvTranspose2d", options, module, shape)

    conv((2, 3, 5, 6), 2, 3, padding=2, dilation=2)
    conv((1, 2, 9, 8), 3, (3, 2), stride=2, padding=(1, 2), dilation=(2, 3), bias=False)
    conv((1, 4, 8, 7), 3, 3, padding=1, dilation=2)
    conv((1, 4, 5, 6), 6, 3, padding=1, groups=2)
    conv((1, 6, 7, 7), 3, 3, stride=2, padding=2, dilation=2, groups=3, bias=False)
    conv((2, 4, 3, 4), 6, 1, groups=2)
    conv((2, 4, 5, 6), 4, 3, padding=1, groups=4)
    conv((1, 3, 7, 6), 6, 3, stride=2, padding=1, groups=3)
    conv((1, 2, 7, 8), 6, (2, 3), padding=1, dilation=(1, 2), groups=2, bias=False)
    transpose((1, 3, 4, 5), 2, 3, padding=1, dilation=2)
    transpose((1, 2, 3, 4), 3, 3, stride=2, padding=2, output_padding=1, dilation=2)
    transpose((1, 2, 4, 3), 2, (2, 3), stride=(2, 1), padding=(1, 0), dilation=(3, 2), bias=False)
    transpose((2, 4, 3, 4), 6, 3, stride=2, padding=1, output_padding=1, groups=2)
    transpose((1, 3, 4, 3), 3, 3, stride=2, padding=1, groups=3)
    transpose((1, 6, 3, 3), 3, 2, stride=2, groups=3)
    transpose((1, 4, 4, 4), 4, 3, padding=1, dilation=2, groups=2, bias=False)


def torch_pools(t):
    shape = (1, 2, 7, 8)
    for kernel, stride, padding, dilation, ceil_mode in [
        (3, 1, 1, 2, False), ((3, 2), 2, (1, 0), (2, 3), False), (2, 2, 0, 1, True), (3, 2, 1, 1, True),
        (2, 3, 1, 1, True), (3, 2, 1, 2, True), ((2, 3), (4, 3), 0, 1, True),
    ]:  # fmt: skip
        options = window(kernel, stride, padding, dilation, ceil_mode=ceil_mode)
        t("MaxPool2d", options, nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil_mode), shape)
        if dilation != 1:
            continue
        for counts in [True, False]:
            module = nn.AvgPool2d(kernel, stride, padding, ceil_mode, count_include_pad=counts)
            t("AvgPool2d", {**options, "counts_padding": counts}, module, shape)


def torch_images(t):
    for height, width, size in [(5, 4, (8, 11)), (7, 9, (3, 4)), (4, 6, (6, 3)), (3, 3, (1, 1)), (1, 2, (3, 6))]:
        for mode in ["nearest", "bilinear"]:
            options = {"size": list(size), "interpolation": mode.capitalize()}
            t("Resize2d", options, nn.Upsample(size=size, mode=mode), (1, 2, height, width))
    for top, bottom, left, right in [(1, 1, 1, 1), (2, 0, 1, 3), (0, 1, 0, 0)]:
        options = {"rows": [top, bottom], "columns": [left, right]}
        sides = (left, right, top, bottom)
        t("ZeroPad2d", options, nn.ZeroPad2d(sides), (1, 2, 5, 6))
        t("ReflectPad2d", options, nn.ReflectionPad2d(sides), (1, 2, 5, 6))


def keras_layers(k, dtype):
    layers, name = keras.layers, str(dtype).removeprefix("torch.")

    def conv(shape, filters, kernel, stride=1, dilation=1, groups=1):
        options = window(kernel, stride, "same", dilation, groups=groups, filters=filters)
        module = layers.Conv2D(
            filters, kernel, stride, "same", dilation_rate=dilation, groups=groups, dtype=name
        )  # fmt: skip
        k("Conv2d", options, module, shape)

    def depthwise(shape, multiplier, kernel, stride=1, dilation=1):
        channels = shape[3]
        options = window(kernel, stride, "same", dilation, groups=channels, filters=channels * multiplier)
        module = layers.DepthwiseConv2D(
            kernel, stride, "same", depth_multiplier=multiplier, dilation_rate=dilation, dtype=name
        )  # fmt: skip
        k("Conv2d", options, module, shape)

    conv((1, 6, 7, 2), 3, 3, dilation=2)
    conv((1, 9, 8, 2), 2, 4, dilation=3)
    conv((1, 6, 5, 2), 2, (2, 3), dilation=(3, 1))
    conv((1, 5, 6, 4), 6, 3, groups=2)
    conv((1, 8, 7, 3), 6, 4, stride=2, groups=3)
    depthwise((1, 5, 6, 3), 1, 3)
    depthwise((1, 7, 6, 2), 3, 3, stride=2)
    depthwise((1, 7, 8, 3), 2, 3, dilation=2)
    options = window(3, 1, "same", 2, groups=1, filters=3, output_padding=[0, 0])
    module = layers.Conv2DTranspose(3, 3, 1, "same", dilation_rate=2, dtype=name)
    k("ConvTranspose2d", options, module, (1, 5, 6, 2))
    for kernel, stride in [((3, 2), (2, 3)), ((2, 2), (1, 1))]:
        options = window(kernel, stride, "same", ceil_mode=False)
        k("MaxPool2d", options, layers.MaxPooling2D(kernel, stride, "same", dtype=name), (1, 7, 8, 2))
        options = {**options, "counts_padding": False}
        k("AvgPool2d", options, layers.AveragePooling2D(kernel, stride, "same", dtype=name), (1, 7, 8, 2))
    for height, width, (rows, columns) in [(3, 4, (2, 3)), (2, 3, (3, 1))]:
        for mode in ["nearest", "bilinear"]:
            options = {"size": [height * rows, width * columns], "interpolation": mode.capitalize()}
            module = layers.UpSampling2D((rows, columns), interpolation=mode, dtype=name)
            k("Resize2d", options, module, (1, height, width, 2))
    options = {"rows": [1, 2], "columns": [0, 3]}
    k("ZeroPad2d", options, layers.ZeroPadding2D(((1, 2), (0, 3)), dtype=name), (2, 3, 4, 2))


def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    cases = []
    for dtype in (torch.float32, torch.float64):
        t = lambda *args: cases.append(of_torch(rng, dtype, *args))
        torch_convolutions(t)
        torch_pools(t)
        torch_images(t)
        keras_layers(lambda *args: cases.append(of_keras(rng, dtype, *args)), dtype)
    versions = {"numpy": np.__version__, "torch": torch.__version__, "keras": keras.__version__}
    write("images.json", "make_images.py", SEED, versions, {"cases": cases})


if __name__ == "__main__":
    main()
