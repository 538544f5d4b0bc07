"""Makes torch.json: PyTorch's BatchNorm1d/2d, Linear and activations on the CPU, in f32."""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import torch
from torch import nn

from golden import draw, write

SEED = 19


def tensor(a):
    return torch.tensor(a, dtype=torch.float32)


def value(t):
    """A copy as a NumPy array; None if the module has no such tensor."""
    return None if t is None else t.detach().numpy().copy()


def run(module, x, dout):
    """One forward and backward: y, dx and the parameters' gradients by name."""
    module.zero_grad()
    x = tensor(x).requires_grad_()
    y = module(x)
    y.backward(tensor(dout))
    return value(y), value(x.grad), {k: value(p.grad) for k, p in module.named_parameters()}


def passed(module, x, dout):
    y, dx, grads = run(module, x, dout)
    return {
        "x": x, "dout": dout, "y": y, "dx": dx,
        "dgamma": grads.get("weight"), "dbeta": grads.get("bias"),
    }


def bn_case(rng, name, shape, **options):
    module = (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(shape[1], **options)
    if module.affine:
        with torch.no_grad():
            module.weight.copy_(tensor(draw(rng, shape[1], mean=1.0, std=0.5)))
            module.bias.copy_(tensor(draw(rng, shape[1], std=0.5)))
    updates = []
    for step in range(3):
        x = draw(rng, *shape, mean=0.5 * step, std=1.0 + 0.5 * step)
        update = passed(module, x, draw(rng, *shape))
        tracked = module.num_batches_tracked
        updates.append({
            **update,
            "running_mean": value(module.running_mean),
            "running_var": value(module.running_var),
            "num_batches_tracked": None if tracked is None else int(tracked),
        })
    module.eval()
    return {
        "name": name,
        "config": {
            "eps": module.eps,
            "momentum": module.momentum,
            "affine": module.affine,
            "track_running_stats": module.track_running_stats,
            "statistics": "per_feature" if len(shape) == 2 else "channels_first",
        },
        "gamma": value(module.weight),
        "beta": value(module.bias),
        "updates": updates,
        "evaluation": passed(module, draw(rng, *shape), draw(rng, *shape)),
    }


def linear_case(rng):
    module = nn.Linear(5, 3)
    weight, bias = draw(rng, 3, 5), draw(rng, 3)
    with torch.no_grad():
        module.weight.copy_(tensor(weight))
        module.bias.copy_(tensor(bias))
    x, dout = draw(rng, 6, 5), draw(rng, 6, 3)
    y, dx, grads = run(module, x, dout)
    return {
        "name": "dense", "weight_layout": "(out, in)", "weight": weight, "bias": bias, "x": x,
        "dout": dout, "y": y, "dx": dx, "dweight": grads["weight"], "dbias": grads["bias"],
    }


def activation_case(rng, name, module, slope=None):
    x, dout = draw(rng, 6, 5, std=2.0), draw(rng, 6, 5)
    # Inputs at the kink, and inputs at which a naive exponential overflows.
    x[0, 0], x[1, 2] = 0.0, -0.0
    x[4] = [-100.0, -20.0, 20.0, 80.0, 100.0]
    y, dx, _ = run(module, x, dout)
    return {"name": name, "slope": slope, "x": x, "dout": dout, "y": y, "dx": dx}


def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    small = (3, 3, 2, 3)
    body = {
        "batch_norm": [
            bn_case(rng, "dense", (6, 5)),
            bn_case(rng, "dense_no_affine", (6, 5), affine=False),
            bn_case(rng, "dense_no_running_stats", (6, 5), track_running_stats=False),
            bn_case(rng, "dense_cumulative", (6, 5), momentum=None),
            bn_case(rng, "image", (4, 3, 2, 5)),
            bn_case(rng, "image_no_affine", small, affine=False),
            bn_case(rng, "image_no_running_stats", small, track_running_stats=False),
            bn_case(rng, "image_cumulative", small, momentum=None),
        ],
        "affine": [linear_case(rng)],
        "activation": [
            activation_case(rng, "relu", nn.ReLU()),
            activation_case(rng, "leaky_relu_0.01", nn.LeakyReLU(0.01), slope=0.01),
            activation_case(rng, "leaky_relu_0.2", nn.LeakyReLU(0.2), slope=0.2),
            activation_case(rng, "tanh", nn.Tanh()),
            activation_case(rng, "sigmoid", nn.Sigmoid()),
        ],
    }
    versions = {"numpy": np.__version__, "torch": torch.__version__}
    write("torch.json", "make_torch.py", SEED, versions, body)


if __name__ == "__main__":
    main()
