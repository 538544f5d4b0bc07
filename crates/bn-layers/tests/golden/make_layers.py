"""Makes layers.json: activations with and without parameters, and normalisations of each example, by
PyTorch and Keras on the CPU, in f32 and f64."""

import os
from functools import partial

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
from torch import nn

from golden import draw, write

SEED = 23


def case(framework, layer, options, dtype, function, x, dout, params):
    """One forward and backward pass. `params` are tensors by our names, which require gradients."""
    x = torch.tensor(x, dtype=dtype).requires_grad_()
    for p in params.values():
        p.grad = None
    y = function(x)
    y.backward(torch.tensor(dout, dtype=dtype))
    numpy = lambda t: t.detach().cpu().numpy().copy()
    return {
        "framework": framework, "layer": layer, "options": options,
        "dtype": str(dtype).removeprefix("torch."),
        "x": numpy(x), "dout": np.asarray(dout), "y": numpy(y), "dx": numpy(x.grad),
        "params": [{"name": name, "value": numpy(p), "grad": numpy(p.grad)} for name, p in params.items()],
    }


def torch_case(rng, dtype, layer, options, module, shape, names=()):
    """`names` maps the module's parameters to ours."""
    module = module.to(dtype)
    params = {}
    for theirs, ours in names:
        p = getattr(module, theirs)
        with torch.no_grad():
            p.copy_(torch.tensor(draw(rng, *p.shape, mean=0.5, std=0.5), dtype=dtype))
        params[ours] = p
    return case("torch", layer, options, dtype, module, draw(rng, *shape, std=2.0), draw(rng, *shape), params)


def keras_case(rng, dtype, layer, options, module, shape, names=()):
    module = module(dtype=str(dtype).removeprefix("torch."))
    module.build(shape)
    params = {}
    for theirs, ours in names:
        variable = getattr(module, theirs)
        variable.assign(draw(rng, *variable.shape, mean=0.5, std=0.5))
        params[ours] = variable.value
    return case("keras", layer, options, dtype, module, draw(rng, *shape, std=2.0), draw(rng, *shape), params)


def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    flat, image, last = (4, 8), (2, 6, 2, 2), (2, 2, 2, 6)
    gamma_beta = [("weight", "gamma"), ("bias", "beta")]
    keras_gamma_beta = [("gamma", "gamma"), ("beta", "beta")]
    cases = []
    for dtype in (torch.float32, torch.float64):
        t = lambda *args: cases.append(torch_case(rng, dtype, *args))
        k = lambda *args: cases.append(keras_case(rng, dtype, *args))
        t("Gelu", {}, nn.GELU(), flat)
        t("Gelu", {"approximate": True}, nn.GELU(approximate="tanh"), flat)
        t("Silu", {}, nn.SiLU(), flat)
        t("Elu", {"alpha": 1.0}, nn.ELU(), flat)
        t("Elu", {"alpha": 0.5}, nn.ELU(0.5), flat)
        t("Relu6", {}, nn.ReLU6(), flat)
        t("PRelu", {"channels": 1}, nn.PReLU(), flat, [("weight", "weight")])
        t("PRelu", {"channels": 6}, nn.PReLU(6), image, [("weight", "weight")])
        t("Softmax", {"classes": 8}, nn.Softmax(1), flat)
        t("Softmax", {"classes": 6}, nn.Softmax(1), image)
        t("LogSoftmax", {"classes": 8}, nn.LogSoftmax(1), flat)
        t("LogSoftmax", {"classes": 6}, nn.LogSoftmax(1), image)
        t("LayerNorm", {"size": 8, "eps": 1e-5}, nn.LayerNorm(8), flat, gamma_beta)
        t("LayerNorm", {"size": 8, "eps": 1e-2}, nn.LayerNorm(8, eps=1e-2, elementwise_affine=False), flat)
        t("LayerNorm", {"size": 24, "eps": 1e-5}, nn.LayerNorm((6, 2, 2), elementwise_affine=False), image)
        t("GroupNorm", {"groups": 2, "channels": 6, "eps": 1e-5}, nn.GroupNorm(2, 6), image, gamma_beta)
        t("GroupNorm", {"groups": 4, "channels": 8, "eps": 1e-5}, nn.GroupNorm(4, 8), flat, gamma_beta)
        t("GroupNorm", {"groups": 1, "channels": 6, "eps": 1e-5}, nn.GroupNorm(1, 6, affine=False), image)
        t("InstanceNorm", {"channels": 6, "eps": 1e-5}, nn.InstanceNorm2d(6), image)
        t("InstanceNorm", {"channels": 6, "eps": 1e-5}, nn.InstanceNorm2d(6, affine=True), image, gamma_beta)
        k("Gelu", {}, partial(keras.layers.Activation, "gelu"), flat)
        k("Silu", {}, partial(keras.layers.Activation, "silu"), flat)
        k("Elu", {"alpha": 1.0}, keras.layers.ELU, flat)
        k("Relu6", {}, partial(keras.layers.Activation, "relu6"), flat)
        k("PRelu", {"channels": 8}, keras.layers.PReLU, flat, [("alpha", "weight")])
        k("Softmax", {"classes": 6}, keras.layers.Softmax, last)
        k("LogSoftmax", {"classes": 8}, partial(keras.layers.Activation, "log_softmax"), flat)
        if dtype == torch.float64:
            continue  # Keras' normalisations round to float32 on the way
        k("LayerNorm", {"size": 6, "eps": 1e-3}, keras.layers.LayerNormalization, last, keras_gamma_beta)
        k("GroupNorm", {"groups": 3, "channels": 6, "eps": 1e-3}, partial(keras.layers.GroupNormalization, 3), last, keras_gamma_beta)
        k("InstanceNorm", {"channels": 6, "eps": 1e-3}, partial(keras.layers.GroupNormalization, -1), last, keras_gamma_beta)
    versions = {"numpy": np.__version__, "torch": torch.__version__, "keras": keras.__version__}
    write("layers.json", "make_layers.py", SEED, versions, {"cases": cases})


if __name__ == "__main__":
    main()
