"""Makes book_net.json and book_optimizers.json: "Deep Learning from Scratch", in f64.

The formulas of common/multi_layer_net_extend.py, common/layers.py and common/optimizer.py, written
plainly in NumPy. Before a file is written, every gradient is compared with central differences, and
each optimizer with a second form of its formula.
"""

import numpy as np

from golden import draw, write
from optimizer_inputs import SEED as OPTIMIZER_SEED
from optimizer_inputs import optimizer_inputs

SEED = 20150211
SIZES = [7, 6, 6, 3]
HIDDEN = (1, 2)
EPS = 10e-7  # as the book writes it: 1e-6
MOMENTUM_KEPT = 0.9
LR = 0.1
STEPS = 3


def initial_parameters(rng):
    p = {}
    for i in range(1, len(SIZES)):
        p[f"W{i}"] = draw(rng, SIZES[i - 1], SIZES[i], std=np.sqrt(2 / SIZES[i - 1]))
        p[f"b{i}"] = draw(rng, SIZES[i], std=0.1)
        if i in HIDDEN:
            # The book starts at 1 and 0, which would hide an error in either.
            p[f"gamma{i}"] = draw(rng, SIZES[i], mean=1.0, std=0.3)
            p[f"beta{i}"] = draw(rng, SIZES[i], std=0.3)
    return p


def initial_running():
    zeros = {f"running_mean{i}": np.zeros(SIZES[i]) for i in HIDDEN}
    return zeros | {f"running_var{i}": np.zeros(SIZES[i]) for i in HIDDEN}


def forward(p, x, running=None):
    """The logits and what backward needs. Without `running`, it uses the batch's statistics."""
    kept = {}
    for i in HIDDEN:
        kept[f"x{i}"] = x
        a = x @ p[f"W{i}"] + p[f"b{i}"]
        mu = a.mean(axis=0) if running is None else running[f"running_mean{i}"]
        var = ((a - mu) ** 2).mean(axis=0) if running is None else running[f"running_var{i}"]
        xn = (a - mu) / np.sqrt(var + EPS)
        out = p[f"gamma{i}"] * xn + p[f"beta{i}"]
        kept |= {f"mu{i}": mu, f"var{i}": var, f"xn{i}": xn, f"out{i}": out}
        x = np.where(out > 0, out, 0.0)
    kept["x3"] = x
    return x @ p["W3"] + p["b3"], kept


def cross_entropy(logits, labels):
    top = logits.max(axis=1, keepdims=True)
    log_y = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    return -log_y[np.arange(len(labels)), labels].mean()


def cross_entropy_book(logits, labels):
    """The book adds 1e-7 inside the logarithm but differentiates without it."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    return -np.log(y[np.arange(len(labels)), labels] + 1e-7).mean()


def decay(p, weight_decay):
    return sum(0.5 * weight_decay * (p[f"W{i}"] ** 2).sum() for i in range(1, len(SIZES)))


def gradients(p, logits, kept, labels, weight_decay):
    n = len(labels)
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    d = (e / e.sum(axis=1, keepdims=True) - np.eye(SIZES[-1])[labels]) / n
    g = {}
    for i in range(len(SIZES) - 1, 0, -1):
        if i in HIDDEN:
            d = np.where(kept[f"out{i}"] > 0, d, 0.0)
            xn = kept[f"xn{i}"]
            g[f"gamma{i}"] = (d * xn).sum(axis=0)
            g[f"beta{i}"] = d.sum(axis=0)
            d = d - g[f"beta{i}"] / n - xn * g[f"gamma{i}"] / n
            d = p[f"gamma{i}"] / np.sqrt(kept[f"var{i}"] + EPS) * d
        g[f"W{i}"] = kept[f"x{i}"].T @ d + weight_decay * p[f"W{i}"]
        g[f"b{i}"] = d.sum(axis=0)
        d = d @ p[f"W{i}"].T
    return {k: g[k] for k in p}


def check_gradients(p, g, x, labels, weight_decay, h=1e-5):
    for key in p:
        numeric = np.empty_like(p[key])
        for i in np.ndindex(numeric.shape):
            loss = []
            for sign in (1, -1):
                moved = {k: v.copy() for k, v in p.items()}
                moved[key][i] += sign * h
                logits, _ = forward(moved, x)
                loss.append(cross_entropy(logits, labels) + decay(moved, weight_decay))
            numeric[i] = (loss[0] - loss[1]) / (2 * h)
        np.testing.assert_allclose(g[key], numeric, rtol=1e-5, atol=1e-8, err_msg=key)


def net_case(name, weight_decay):
    rng = np.random.default_rng(SEED)  # the same start and batches in every case
    p, running = initial_parameters(rng), initial_running()
    case = {
        "name": name,
        "config": {
            "sizes": SIZES, "weight_decay": weight_decay, "lr": LR, "eps": EPS,
            "momentum_kept": MOMENTUM_KEPT, "running_var": "biased", "initial_running_var": 0.0,
            "weight_layout": "(in, out)",
        },
        "parameters": p,
        "steps": [],
    }
    for _ in range(STEPS):
        x, labels = draw(rng, 6, SIZES[0]), rng.integers(0, SIZES[-1], size=6)
        logits, kept = forward(p, x)
        g = gradients(p, logits, kept, labels, weight_decay)
        check_gradients(p, g, x, labels, weight_decay)
        for i in HIDDEN:
            for statistic, batch in (("running_mean", f"mu{i}"), ("running_var", f"var{i}")):
                old = running[f"{statistic}{i}"]
                new = MOMENTUM_KEPT * old + (1 - MOMENTUM_KEPT) * kept[batch]
                running = running | {f"{statistic}{i}": new}
        penalty = decay(p, weight_decay)
        loss = float(cross_entropy(logits, labels) + penalty)
        loss_book = float(cross_entropy_book(logits, labels) + penalty)
        p = {k: p[k] - LR * g[k] for k in p}
        case["steps"].append({
            "x": x, "labels": labels, "logits": logits, "loss": loss, "loss_book": loss_book,
            "gradients": g, "parameters_after": p, "running_after": running,
        })
    x = draw(rng, 6, SIZES[0])
    case["evaluation"] = {"x": x, "logits": forward(p, x, running)[0]}
    return case


# Optimizers. Each is a generator: it receives a gradient and yields the parameters after the step.


def sgd(p, lr):
    while True:
        g = yield p
        p = p - lr * g


def momentum(p, lr, momentum):
    v = np.zeros_like(p)
    while True:
        g = yield p
        v = momentum * v - lr * g
        p = p + v


def nesterov(p, lr, momentum):
    """The book's repository since its commit 89eadd0 (2021-01-18): p changes by the old v."""
    v = np.zeros_like(p)
    while True:
        g = yield p
        p = p + momentum * momentum * v - (1 + momentum) * lr * g
        v = momentum * v - lr * g


def nesterov_before_2021(p, lr, momentum):
    """The repository before that fix: v changes first, so p changes by the new v."""
    v = np.zeros_like(p)
    while True:
        g = yield p
        v = momentum * v - lr * g
        p = p + momentum * momentum * v - (1 + momentum) * lr * g


def adagrad(p, lr):
    h = np.zeros_like(p)
    while True:
        g = yield p
        h = h + g * g
        p = p - lr * g / (np.sqrt(h) + 1e-7)


def rmsprop(p, lr, decay_rate):
    h = np.zeros_like(p)
    while True:
        g = yield p
        h = decay_rate * h + (1 - decay_rate) * g * g
        p = p - lr * g / (np.sqrt(h) + 1e-7)


def adam(p, lr, beta1, beta2):
    m, v, t = np.zeros_like(p), np.zeros_like(p), 0
    while True:
        g = yield p
        t += 1
        lr_t = lr * np.sqrt(1 - beta2**t) / (1 - beta1**t)
        m = m + (1 - beta1) * (g - m)
        v = v + (1 - beta2) * (g * g - v)
        p = p - lr_t * m / (np.sqrt(v) + 1e-7)


OPTIMIZERS = [
    ("SGD", sgd, {"lr": 0.1}),
    ("Momentum", momentum, {"lr": 0.1, "momentum": 0.9}),
    ("Nesterov", nesterov, {"lr": 0.1, "momentum": 0.9}),
    ("Nesterov_before_2021", nesterov_before_2021, {"lr": 0.1, "momentum": 0.9}),
    ("AdaGrad", adagrad, {"lr": 0.1}),
    ("RMSprop", rmsprop, {"lr": 0.01, "decay_rate": 0.99}),
    ("Adam", adam, {"lr": 0.01, "beta1": 0.9, "beta2": 0.999}),
]


def follow(start, grads, optimizer, config):
    run = optimizer(start, **config)
    next(run)
    return np.array([run.send(g) for g in grads])


def check_optimizers(start, grads, after):
    """Checks each rule against a closed sum over the gradients so far."""
    lr, k, n = 0.1, 0.9, len(grads)
    np.testing.assert_allclose(after["SGD"], start - lr * grads.cumsum(axis=0))
    v = np.array([-lr * sum(k ** (t - s) * grads[s] for s in range(t + 1)) for t in range(n)])
    np.testing.assert_allclose(after["Momentum"], start + v.cumsum(axis=0))
    # Nesterov's p is the look-ahead point theta + k v of the textbook's theta, which changes by v.
    np.testing.assert_allclose(after["Nesterov"], start + v.cumsum(axis=0) + k * v)
    moves = k * k * v - (1 + k) * lr * grads
    np.testing.assert_allclose(after["Nesterov_before_2021"], start + moves.cumsum(axis=0))
    h = (grads**2).cumsum(axis=0)
    moves = 0.1 * grads / (h**0.5 + 1e-7)
    np.testing.assert_allclose(after["AdaGrad"], start - moves.cumsum(axis=0))
    mean = lambda x, b: np.array([  # noqa: E731
        (1 - b) * sum(b ** (t - s) * x[s] for s in range(t + 1)) for t in range(n)
    ])
    moves = 0.01 * grads / (mean(grads**2, 0.99) ** 0.5 + 1e-7)
    np.testing.assert_allclose(after["RMSprop"], start - moves.cumsum(axis=0))
    t = np.arange(1, n + 1)[:, None]
    lr_t = 0.01 * (1 - 0.999**t) ** 0.5 / (1 - 0.9**t)
    moves = lr_t * mean(grads, 0.9) / (mean(grads**2, 0.999) ** 0.5 + 1e-7)
    np.testing.assert_allclose(after["Adam"], start - moves.cumsum(axis=0))


def main():
    versions = {"numpy": np.__version__}
    body = {"cases": [net_case("plain", 0.0), net_case("weight_decay", 0.1)]}
    write("book_net.json", "make_book.py", SEED, versions, body)

    start, grads = optimizer_inputs()
    after = {name: follow(start, grads, rule, config) for name, rule, config in OPTIMIZERS}
    check_optimizers(start, grads, after)
    body = {
        "start": start,
        "gradients": grads,
        "cases": [{"name": n, "config": c, "after": after[n]} for n, _, c in OPTIMIZERS],
    }
    write("book_optimizers.json", "make_book.py", OPTIMIZER_SEED, versions, body)


if __name__ == "__main__":
    main()
