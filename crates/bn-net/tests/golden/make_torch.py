"""Makes torch.json: PyTorch's losses, optimizers, schedules and a trained network, on the CPU.

Everything except the schedules is in f64 and again in f32, from the same inputs.
"""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import torch
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, RMSprop, lr_scheduler

from golden import draw, write
from optimizer_inputs import optimizer_inputs

SEED = 23
SIZES = [7, 6, 6, 3]
LR = 0.1
CLASS_WEIGHTS = [0.5, 2.0, 1.0, 0.25]


def value(t):
    return t.detach().numpy().copy()


def cross_entropy_cases(dtype):
    rng = np.random.default_rng(SEED)
    moderate, labels = draw(rng, 6, 4, std=2.0), rng.integers(0, 4, size=6)
    # Clearly right, clearly wrong, a tie of two, and all equal.
    extreme = np.array([
        [1e4, -1e4, 0.0, 0.0],
        [1e4, -1e4, 0.0, 0.0],
        [-1e4, -1e4, 1e4, 1e4],
        [-1e4, -1e4, -1e4, -1e4],
    ])
    extreme_labels = np.array([0, 1, 2, 3])
    for name, logits, labels_, smoothing, weights in [
        ("plain", moderate, labels, 0.0, None),
        ("label_smoothing", moderate, labels, 0.1, None),
        ("class_weights", moderate, labels, 0.0, CLASS_WEIGHTS),
        ("class_weights_and_label_smoothing", moderate, labels, 0.1, CLASS_WEIGHTS),
        ("extreme_logits", extreme, extreme_labels, 0.0, None),
        ("extreme_logits_label_smoothing", extreme, extreme_labels, 0.1, None),
    ]:
        weight = None if weights is None else torch.tensor(weights, dtype=dtype)
        loss_of = nn.CrossEntropyLoss(weight=weight, label_smoothing=smoothing)
        x = torch.tensor(logits, dtype=dtype, requires_grad=True)
        loss = loss_of(x, torch.tensor(labels_))
        loss.backward()
        yield {
            "name": name,
            "config": {"label_smoothing": smoothing, "class_weights": weights},
            "logits": logits, "labels": labels_, "loss": loss.item(), "dlogits": value(x.grad),
        }


def mse_case(dtype):
    rng = np.random.default_rng(SEED + 1)
    y, t = draw(rng, 6, 4), draw(rng, 6, 4)
    x = torch.tensor(y, dtype=dtype, requires_grad=True)
    loss = nn.MSELoss()(x, torch.tensor(t, dtype=dtype))
    loss.backward()
    return {"name": "mean", "y": y, "t": t, "loss": loss.item(), "dy": value(x.grad)}


OPTIMIZERS = [
    ("sgd", SGD, {"lr": 0.1}),
    ("sgd_weight_decay", SGD, {"lr": 0.1, "weight_decay": 0.01}),
    ("momentum", SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.0}),
    ("momentum_weight_decay", SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    ("nesterov", SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("adagrad", Adagrad, {"lr": 0.1, "eps": 1e-10}),
    ("rmsprop", RMSprop, {"lr": 0.01, "alpha": 0.99, "eps": 1e-8}),
    ("adam", Adam, {"lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8}),
    ("adam_weight_decay", Adam,
     {"lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01}),
    ("adamw", AdamW, {"lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01}),
]


def optimizer_section(dtype):
    start, gradients = optimizer_inputs()
    cases = []
    for name, kind, config in OPTIMIZERS:
        p = nn.Parameter(torch.tensor(start, dtype=dtype))
        optimizer = kind([p], **config, foreach=False)
        after = []
        for g in gradients:
            p.grad = torch.tensor(g, dtype=dtype)
            optimizer.step()
            after.append(value(p))
        cases.append({"name": name, "config": config, "after": np.array(after)})
    return {"start": start, "gradients": gradients, "cases": cases}


def schedule_cases():
    """lr[t] is the rate of step t, from 0 on."""
    for name, kind, config in [
        ("step", lr_scheduler.StepLR, {"step_size": 6, "gamma": 0.5}),
        ("cosine", lr_scheduler.CosineAnnealingLR, {"T_max": 20, "eta_min": 0.001}),
        ("linear_warm_up", lr_scheduler.LinearLR,
         {"start_factor": 0.1, "end_factor": 1.0, "total_iters": 5}),
    ]:
        optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=LR)
        schedule = kind(optimizer, **config)
        rates = []
        for _ in range(21):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        yield {"name": name, "config": {"lr": LR, **config}, "lr": np.array(rates)}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        for i in range(2):
            layers += [nn.Linear(SIZES[i], SIZES[i + 1]), nn.BatchNorm1d(SIZES[i + 1]), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(SIZES[2], SIZES[3]))

    def forward(self, x):
        return self.layers(x)


def network_section(dtype):
    rng = np.random.default_rng(SEED + 2)
    net = Net().to(dtype)
    with torch.no_grad():
        for p in net.parameters():
            matrix = p.dim() == 2
            std = np.sqrt(2 / p.shape[1]) if matrix else 0.3
            p.copy_(torch.tensor(draw(rng, *p.shape, std=std), dtype=dtype))
        for layer in net.layers:
            if isinstance(layer, nn.BatchNorm1d):
                layer.weight.add_(1.0)

    parameters = lambda: {k: value(p) for k, p in net.named_parameters()}  # noqa: E731
    section = {
        "config": {
            "sizes": SIZES, "lr": LR, "eps": 1e-5, "momentum": 0.1, "running_var": "unbiased",
            "initial_running_var": 1.0, "weight_layout": "(out, in)",
        },
        "parameters": parameters(),
        "steps": [],
    }
    optimizer, loss_of = SGD(net.parameters(), lr=LR, foreach=False), nn.CrossEntropyLoss()
    for _ in range(3):
        x, labels = draw(rng, 6, SIZES[0]), rng.integers(0, SIZES[-1], size=6)
        optimizer.zero_grad()
        logits = net(torch.tensor(x, dtype=dtype))
        loss = loss_of(logits, torch.tensor(labels))
        loss.backward()
        gradients = {k: value(p.grad) for k, p in net.named_parameters()}
        optimizer.step()
        section["steps"].append({
            "x": x, "labels": labels, "logits": value(logits), "loss": loss.item(),
            "gradients": gradients, "parameters_after": parameters(),
            "running_after": {k: value(b) for k, b in net.named_buffers() if b.dim() == 1},
        })
    net.eval()
    x = draw(rng, 6, SIZES[0])
    section["evaluation"] = {"x": x, "logits": value(net(torch.tensor(x, dtype=dtype)))}
    return section


def main():
    torch.set_num_threads(1)
    body = {
        name: {
            "cross_entropy": list(cross_entropy_cases(dtype)),
            "mse": mse_case(dtype),
            "optimizers": optimizer_section(dtype),
            "network": network_section(dtype),
        }
        for name, dtype in (("f64", torch.float64), ("f32", torch.float32))
    }
    body["schedules"] = list(schedule_cases())
    versions = {"numpy": np.__version__, "torch": torch.__version__}
    write("torch.json", "make_torch.py", SEED, versions, body)


if __name__ == "__main__":
    main()
