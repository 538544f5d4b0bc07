"""Makes binary_cross_entropy.json: PyTorch's BCEWithLogitsLoss and BCELoss on the CPU, in f64 and f32."""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import torch
from torch import nn

from golden import draw, write

SEED = 31


def case(name, loss, x, t, dtype):
    x_ = torch.tensor(x, dtype=dtype, requires_grad=True)
    value = loss(x_, torch.tensor(t, dtype=dtype))
    value.backward()
    return {"name": name, "x": x, "t": t, "loss": value.item(), "dx": x_.grad.numpy().copy()}


def cases(dtype):
    rng = np.random.default_rng(SEED)
    logits, hard = draw(rng, 6, 3, std=3.0), rng.integers(0, 2, size=(6, 3)).astype(float)
    soft = rng.integers(0, 1025, size=(6, 3)) / 1024
    extreme = np.array([[1e4, -1e4], [1e4, -1e4], [0.0, 50.0], [-50.0, 1e-3 * 1024 / 1024]])
    extreme_t = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.25], [1.0, 0.0]])
    inside = rng.integers(1, 1024, size=(6, 3)) / 1024
    edges, edges_t = np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    with_logits, plain = nn.BCEWithLogitsLoss(), nn.BCELoss()
    return {
        "logits": [
            case("hard", with_logits, logits, hard, dtype),
            case("soft", with_logits, logits, soft, dtype),
            case("extreme", with_logits, extreme, extreme_t, dtype),
        ],
        "probabilities": [
            case("hard", plain, inside, hard, dtype),
            case("soft", plain, inside, soft, dtype),
            case("edges", plain, edges, edges_t, dtype),
        ],
    }


if __name__ == "__main__":
    body = {"f64": cases(torch.float64), "f32": cases(torch.float32)}
    write("binary_cross_entropy.json", "make_binary_cross_entropy.py", SEED, {"torch": torch.__version__}, body)
