"""Makes training.json: frozen parameters, parameter groups, accumulated gradients, averages of weights and
schedules, by PyTorch on the CPU. Each case trains the same network for ten steps of AdamW.
"""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import torch
from torch import nn
from torch.optim import SGD, AdamW, lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from golden import draw, write

SEED = 29
SIZES = [7, 6, 6, 3]
ROWS = 12
STEPS = 10
LR, DECAY = 0.01, 0.1


def value(t):
    return t.detach().numpy().copy()


def state(net):
    """All parameters and running statistics."""
    arrays = [*net.named_parameters(), *net.named_buffers()]
    return {k: value(v) for k, v in arrays if v.is_floating_point()}


def network(dtype):
    rng = np.random.default_rng(SEED)
    layers = []
    for i in range(2):
        # A bias before BatchNorm has no gradient but rounding, which Adam would magnify.
        linear = nn.Linear(SIZES[i], SIZES[i + 1], bias=False)
        layers += [linear, nn.BatchNorm1d(SIZES[i + 1]), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Linear(SIZES[2], SIZES[3])).to(dtype)
    with torch.no_grad():
        for p in net.parameters():
            std = np.sqrt(2 / p.shape[1]) if p.dim() == 2 else 0.3
            p.copy_(torch.tensor(draw(rng, *p.shape, std=std), dtype=dtype))
        for layer in net:
            if isinstance(layer, nn.BatchNorm1d):
                layer.weight.add_(1.0)
                layer.running_mean.copy_(torch.tensor(draw(rng, 6, std=0.2)))
                layer.running_var.copy_(torch.tensor(0.5 + draw(rng, 6) ** 2))
    return net


def batches():
    rng = np.random.default_rng(SEED + 1)
    return [(draw(rng, ROWS, SIZES[0]), rng.integers(0, SIZES[-1], size=ROWS)) for _ in range(STEPS)]


def adam_w(groups):
    return AdamW(groups, lr=LR, betas=(0.9, 0.999), eps=1e-8, weight_decay=DECAY, foreach=False)


def train(net, optimizer, dtype, cuts=(ROWS,), after=lambda: None):
    """Ten steps; each batch in micro-batches of these sizes. Returns the losses and gradients' norms."""
    loss_of, losses, norms = nn.CrossEntropyLoss(reduction="sum"), [], []
    for x, labels in batches():
        optimizer.zero_grad()
        total = 0.0
        for rows in np.split(np.arange(ROWS), np.cumsum(cuts)[:-1]):
            logits = net(torch.tensor(x[rows], dtype=dtype))
            loss = loss_of(logits, torch.tensor(labels[rows])) / ROWS
            loss.backward()
            total += loss.item()
        norms.append(nn.utils.clip_grad_norm_(net.parameters(), float("inf")).item())
        optimizer.step()
        after()
        losses.append(total)
    return {"losses": np.array(losses), "norms": np.array(norms)}


def frozen_layers(dtype):
    """The first three layers with requires_grad False and in eval mode: what Keras' trainable = False does.

    The last layer has a tenth of the learning rate and no decay; biases, gamma and beta have no decay.
    """
    net = network(dtype)
    for layer in net[:3]:
        layer.eval()
        layer.requires_grad_(False)
    last = list(net[6].parameters())
    decayed = [net[3].weight]
    others = list(net[4].parameters())
    optimizer = adam_w([
        {"params": last, "lr": LR / 10, "weight_decay": 0.0},
        {"params": decayed},
        {"params": others, "weight_decay": 0.0},
    ])
    result = train(net, optimizer, dtype)
    return {"name": "frozen_layers", **result, "after": state(net)}


def frozen_parameters(dtype):
    """Some parameters with requires_grad False; the running statistics go on."""
    net = network(dtype)
    for p in [net[0].weight, net[1].weight, net[4].bias]:
        p.requires_grad_(False)
    optimizer = adam_w([p for p in net.parameters() if p.requires_grad])
    result = train(net, optimizer, dtype)
    return {"name": "frozen_parameters", **result, "after": state(net)}


def accumulated(dtype):
    net = network(dtype)
    result = train(net, adam_w(net.parameters()), dtype, cuts=(2, 5, 3, 2))
    return {"name": "accumulated", "cuts": [2, 5, 3, 2], **result, "after": state(net)}


def averaged(dtype, name, **kwargs):
    net = network(dtype)
    average = AveragedModel(net, use_buffers=True, **kwargs)
    result = train(net, adam_w(net.parameters()), dtype, after=lambda: average.update_parameters(net))
    return {"name": name, **result, "after": state(net), "average": state(average.module)}


def schedule_cases():
    """lr[t] is the rate of step t, from 0 on."""
    for name, kind, config in [
        ("restarts", lr_scheduler.CosineAnnealingWarmRestarts,
         {"T_0": 3, "T_mult": 2, "eta_min": 0.001}),
        ("equal_restarts", lr_scheduler.CosineAnnealingWarmRestarts,
         {"T_0": 4, "T_mult": 1, "eta_min": 0.0}),
        ("one_cycle", lr_scheduler.OneCycleLR,
         {"max_lr": 0.1, "total_steps": 20, "cycle_momentum": False}),
    ]:
        optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
        schedule = kind(optimizer, **config)
        rates = []
        for t in range(20):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if t < 19:
                schedule.step()
        yield {"name": name, "config": {"lr": 0.1, **config}, "lr": np.array(rates)}


def main():
    torch.set_num_threads(1)
    body = {}
    for name, dtype in (("f64", torch.float64), ("f32", torch.float32)):
        body[name] = {
            "before": state(network(dtype)),
            "cases": [
                frozen_layers(dtype),
                frozen_parameters(dtype),
                accumulated(dtype),
                averaged(dtype, "exponential", multi_avg_fn=get_ema_multi_avg_fn(0.9)),
                averaged(dtype, "stochastic"),
            ],
        }
    body["batches"] = [{"x": x, "labels": labels} for x, labels in batches()]
    body["config"] = {"sizes": SIZES, "lr": LR, "weight_decay": DECAY, "ema_decay": 0.9}
    body["schedules"] = list(schedule_cases())
    versions = {"numpy": np.__version__, "torch": torch.__version__}
    write("training.json", "make_training.py", SEED, versions, body)


if __name__ == "__main__":
    main()
