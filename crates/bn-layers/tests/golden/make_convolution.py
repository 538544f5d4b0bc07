"""Makes convolution.json: PyTorch's convolutions and pools on the CPU, and Keras' with `same` padding.

Each case names its framework, and its arrays have that framework's layout (channels first in PyTorch,
channels last in Keras). Everything is in f32.
"""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
import torch
from torch import nn

from golden import draw, write

SEED = 23


def of_torch(rng, layer, shape, **options):
    """One forward and backward pass of `layer(**options)` for a batch `shape`."""
    module = getattr(nn, layer)(**options)
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for p in parameters.values():
            p.copy_(torch.tensor(draw(rng, *p.shape, std=0.5), dtype=torch.float32))
    x = torch.tensor(draw(rng, *shape), dtype=torch.float32, requires_grad=True)
    y = module(x)
    dout = torch.tensor(draw(rng, *y.shape), dtype=torch.float32)
    y.backward(dout)
    value = lambda t: t.detach().numpy().copy()
    return {
        "framework": "torch", "layer": layer, "options": options,
        "x": value(x), "y": value(y), "dout": value(dout), "dx": value(x.grad),
        "w": value(parameters["weight"]) if parameters else None,
        "b": value(parameters["bias"]) if "bias" in parameters else None,
        "dw": value(parameters["weight"].grad) if parameters else None,
        "db": value(parameters["bias"].grad) if "bias" in parameters else None,
    }  # fmt: skip


def of_keras(rng, layer, shape, **options):
    """As `of_torch`, with `same` padding."""
    module = getattr(keras.layers, layer)(padding="same", **options)
    module.build(shape)
    module.set_weights([draw(rng, *w.shape, std=0.5) for w in module.get_weights()])
    x = tf.Variable(draw(rng, *shape).astype(np.float32))
    with tf.GradientTape() as tape:
        y = module(x)
        dout = draw(rng, *y.shape).astype(np.float32)
        loss = tf.reduce_sum(y * dout)
    weights = [v.value for v in module.trainable_variables]
    dx, *grads = tape.gradient(loss, [x, *weights])
    arrays = [np.array(w) for w in module.get_weights()] + [None, None]
    grads = [np.array(g) for g in grads] + [None, None]
    return {
        "framework": "keras", "layer": layer, "options": options,
        "x": x.numpy(), "y": np.array(y), "dout": dout, "dx": np.array(dx),
        "w": arrays[0], "b": arrays[1], "dw": grads[0], "db": grads[1],
    }  # fmt: skip


def cases(rng):
    conv = lambda shape, out, kernel, stride, padding=0, bias=True: of_torch(
        rng, "Conv2d", shape, in_channels=shape[1], out_channels=out, kernel_size=kernel,
        stride=stride, padding=padding, bias=bias,
    )  # fmt: skip
    transpose = lambda shape, out, kernel, stride, padding=0, output_padding=0, bias=True: of_torch(
        rng, "ConvTranspose2d", shape, in_channels=shape[1], out_channels=out, kernel_size=kernel,
        stride=stride, padding=padding, output_padding=output_padding, bias=bias,
    )  # fmt: skip
    yield conv((2, 3, 6, 7), 4, 3, 1)
    yield conv((1, 2, 5, 5), 3, 1, 1)
    yield conv((3, 2, 7, 6), 2, 2, 2, 1)
    yield conv((2, 1, 8, 8), 3, 5, 3, 2)
    yield conv((1, 3, 6, 6), 2, 4, 2, 1, bias=False)
    yield conv((2, 2, 5, 8), 3, (2, 3), (3, 1), (1, 0))
    yield transpose((2, 3, 4, 5), 2, 3, 1)
    yield transpose((2, 2, 4, 4), 3, 3, 2, 1, 1)
    yield transpose((1, 3, 3, 3), 2, 4, 2, 1)
    yield transpose((2, 2, 3, 4), 2, 5, 3, 2, 2, bias=False)
    yield transpose((1, 2, 4, 3), 1, 1, 1)
    for kernel, stride, padding in [(2, 2, 0), (3, 2, 1), (3, 1, 0), (5, 3, 2)]:
        shape = (2, 3, 7, 8)
        yield of_torch(rng, "MaxPool2d", shape, kernel_size=kernel, stride=stride, padding=padding)
        for counts in [True, False]:
            yield of_torch(
                rng, "AvgPool2d", shape, kernel_size=kernel, stride=stride, padding=padding,
                count_include_pad=counts,
            )  # fmt: skip
    yield of_torch(rng, "AdaptiveAvgPool2d", (3, 4, 3, 5), output_size=1)
    yield of_torch(rng, "Upsample", (2, 3, 3, 2), scale_factor=3, mode="nearest")

    for shape, kernel, stride in [
        ((2, 6, 7, 3), 3, 1), ((1, 7, 7, 2), 3, 2), ((2, 8, 8, 1), 5, 2), ((3, 8, 5, 2), 4, 3),
        ((2, 5, 6, 2), 2, 2), ((1, 5, 5, 3), 1, 2),
    ]:  # fmt: skip
        yield of_keras(rng, "Conv2D", shape, filters=4, kernel_size=kernel, strides=stride)
    for shape, kernel, stride in [
        ((2, 4, 4, 3), 3, 2), ((1, 3, 5, 2), 4, 2), ((2, 3, 3, 2), 5, 2), ((2, 4, 3, 2), 3, 1),
        ((1, 3, 4, 2), 5, 3),
    ]:  # fmt: skip
        yield of_keras(rng, "Conv2DTranspose", shape, filters=3, kernel_size=kernel, strides=stride)
    yield of_keras(rng, "MaxPooling2D", (2, 7, 8, 3), pool_size=3, strides=2)
    yield of_keras(rng, "AveragePooling2D", (2, 7, 8, 3), pool_size=3, strides=2)


if __name__ == "__main__":
    versions = {"torch": torch.__version__, "keras": keras.__version__, "tensorflow": tf.__version__}
    results = list(cases(np.random.default_rng(SEED)))
    write("convolution.json", "make_convolution.py", SEED, versions, {"cases": results})
