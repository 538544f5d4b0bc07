"""Makes residual.json: small networks with residual blocks and a concatenation, by PyTorch on the CPU.

Everything is in f64. The names of parameters are those of this library, except that gamma and beta are
weight and bias.
"""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import torch
from torch import nn
from torch.optim import SGD

from golden import draw, write

SEED = 31
IMAGE = (2, 4, 4)  # channels first
ROWS, STEPS, CLASSES = 4, 3, 3
LR, MOMENTUM = 0.1, 0.9


class Chain(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x)


class Residual(nn.Module):
    def __init__(self, body, shortcut=None):
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x):
        return self.body(x) + (x if self.shortcut is None else self.shortcut(x))


class Concat(nn.Module):
    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class GlobalAvgPool(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def conv(inputs, outputs, kernel=3, stride=1):
    # A bias before BatchNorm has no gradient but rounding.
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


def norm_relu(channels):
    return nn.BatchNorm2d(channels), nn.ReLU()


def post_activation():
    """arXiv:1512.03385, with one stage of stride 2."""
    return Chain(
        conv(2, 2), *norm_relu(2),
        Residual(Chain(conv(2, 2), *norm_relu(2), conv(2, 2), nn.BatchNorm2d(2))), nn.ReLU(),
        Residual(
            Chain(conv(2, 3, stride=2), *norm_relu(3), conv(3, 3), nn.BatchNorm2d(3)),
            Chain(conv(2, 3, kernel=1, stride=2), nn.BatchNorm2d(3)),
        ), nn.ReLU(),
        GlobalAvgPool(), nn.Linear(3, CLASSES),
    )  # fmt: skip


def pre_activation():
    """arXiv:1603.05027: the body and the shortcut of a new stage share the first activation."""
    return Chain(
        conv(2, 2),
        Residual(Chain(*norm_relu(2), conv(2, 2), *norm_relu(2), conv(2, 2))),
        *norm_relu(2),
        Residual(
            Chain(conv(2, 3, stride=2), *norm_relu(3), conv(3, 3)),
            Chain(conv(2, 3, kernel=1, stride=2)),
        ),
        *norm_relu(3), GlobalAvgPool(), nn.Linear(3, CLASSES),
    )  # fmt: skip


def concat():
    """Two branches, one of which holds a residual block."""
    inner = Residual(Chain(conv(2, 2), nn.BatchNorm2d(2)))
    return Chain(
        conv(2, 2), *norm_relu(2),
        Concat(Chain(conv(2, 1, kernel=1), *norm_relu(1)), Chain(inner, nn.ReLU(), conv(2, 3))),
        *norm_relu(4), GlobalAvgPool(), nn.Linear(4, CLASSES),
    )  # fmt: skip


def value(t):
    return t.detach().numpy().copy()


def state(net):
    """All parameters and running statistics."""
    arrays = [*net.named_parameters(), *net.named_buffers()]
    return {k: value(v) for k, v in arrays if v.is_floating_point()}


def rows(images):
    """Images as rows, channels last: `(N, H·W·C)`."""
    return images.transpose(0, 2, 3, 1).reshape(len(images), -1)


def initialize(net, rng):
    with torch.no_grad():
        for p in net.parameters():
            std = 0.3 if p.dim() == 1 else np.sqrt(2 / p[0].numel())
            p.copy_(torch.tensor(draw(rng, *p.shape, std=std)))
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.add_(1.0)
                layer.running_mean.copy_(torch.tensor(draw(rng, layer.num_features, std=0.2)))
                layer.running_var.copy_(torch.tensor(0.5 + draw(rng, layer.num_features) ** 2))


def batches():
    rng = np.random.default_rng(SEED + 1)
    return [(draw(rng, ROWS, *IMAGE), rng.integers(0, CLASSES, size=ROWS)) for _ in range(STEPS)]


def case(make):
    """Steps of SGD; the gradients and running statistics of the first, and the logits in evaluation."""
    net = make().double()
    initialize(net, np.random.default_rng(SEED))
    result = {"name": make.__name__, "before": state(net), "steps": []}
    optimizer = SGD(net.parameters(), lr=LR, momentum=MOMENTUM, foreach=False)
    loss_of = nn.CrossEntropyLoss()
    for step, (images, labels) in enumerate(batches()):
        x = torch.tensor(images, requires_grad=True)
        optimizer.zero_grad()
        logits = net(x)
        loss = loss_of(logits, torch.tensor(labels))
        loss.backward()
        result["steps"].append({"logits": value(logits), "loss": loss.item()})
        if step == 0:
            result["dx"] = rows(value(x.grad))
            result["gradients"] = {k: value(p.grad) for k, p in net.named_parameters()}
            result["running"] = {k: value(b) for k, b in net.named_buffers() if b.dim() == 1}
        optimizer.step()
    result["after"] = state(net)
    net.eval()
    result["evaluation"] = value(net(torch.tensor(images)))  # of the last batch
    return result


def main():
    torch.set_num_threads(1)
    body = {
        "config": {"lr": LR, "momentum": MOMENTUM},
        "batches": [{"x": rows(images), "labels": labels} for images, labels in batches()],
        "cases": [case(make) for make in (post_activation, pre_activation, concat)],
    }
    versions = {"numpy": np.__version__, "torch": torch.__version__}
    write("residual.json", "make_residual.py", SEED, versions, body)


if __name__ == "__main__":
    main()
