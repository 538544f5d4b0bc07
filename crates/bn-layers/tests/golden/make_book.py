"""Makes book.json: the layers of "Deep Learning from Scratch" (common/layers.py), in f64.

The formulas are written plainly in NumPy. Every gradient is compared with central differences
before the file is written.
"""

import numpy as np

from golden import draw, write

SEED = 20150211
BOOK = {
    "eps": 10e-7,  # as the book writes it: 1e-6
    "momentum_kept": 0.9,
    "running_var": "biased",
    "initial_running_var": 0.0,
}
# arXiv:1502.03167, Algorithm 2: E[mean_B], and E[var_B] * m / (m - 1), over the batches seen.
PAPER = {
    "eps": 1e-5,
    "momentum_kept": None,
    "running_var": "unbiased",
    "initial_running_var": 0.0,
}


def to_matrix(x, statistics):
    """The matrix whose columns each have their own mean and variance."""
    if statistics == "per_position":
        return x.reshape(x.shape[0], -1)  # (N, C, H, W) -> (N, C*H*W), the book's way
    if statistics == "channels_first":
        return x.transpose(0, 2, 3, 1).reshape(-1, x.shape[1])  # (N, C, H, W) -> (N*H*W, C)
    return x.reshape(-1, x.shape[-1])  # (N, D) as it is; (N, H, W, C) -> (N*H*W, C)


def from_matrix(m, statistics, shape):
    if statistics == "channels_first":
        n, c, h, w = shape
        return m.reshape(n, h, w, c).transpose(0, 3, 1, 2)
    return m.reshape(shape)


def normalize(x, mean, var, eps):
    return (x - mean) / np.sqrt(var + eps)


def bn_train(x, gamma, beta, eps):
    mu = x.mean(axis=0)
    var = ((x - mu) ** 2).mean(axis=0)
    xn = normalize(x, mu, var, eps)
    return gamma * xn + beta, mu, var, xn


def bn_backward(dout, gamma, var, xn, eps):
    dgamma = (dout * xn).sum(axis=0)
    dbeta = dout.sum(axis=0)
    dx = gamma / np.sqrt(var + eps) * (dout - dbeta / len(dout) - xn * dgamma / len(dout))
    return dx, dgamma, dbeta


def updated(config, updates_done, running, batch):
    """The running statistic after one more batch."""
    if config["momentum_kept"] is None:
        return running + (batch - running) / (updates_done + 1)
    return config["momentum_kept"] * running + (1 - config["momentum_kept"]) * batch


def bn_case(rng, name, config, statistics, shape, mean=0.0):
    features = to_matrix(np.zeros(shape), statistics).shape[1]
    gamma = draw(rng, features, mean=1.0, std=0.5)
    beta = draw(rng, features, std=0.5)
    eps = config["eps"]
    running_mean = np.zeros(features)
    running_var = np.full(features, config["initial_running_var"])

    updates = []
    for step in range(3):
        # The batches differ in mean and spread, so that the running statistics change.
        x = draw(rng, *shape, mean=mean + 0.5 * step, std=1.0 + 0.5 * step)
        dout = draw(rng, *shape)
        xm, dm = to_matrix(x, statistics), to_matrix(dout, statistics)
        y, mu, var, xn = bn_train(xm, gamma, beta, eps)
        dx, dgamma, dbeta = bn_backward(dm, gamma, var, xn, eps)

        check(dx, lambda v: (bn_train(v, gamma, beta, eps)[0] * dm).sum(), xm)
        check(dgamma, lambda v: (bn_train(xm, v, beta, eps)[0] * dm).sum(), gamma)
        check(dbeta, lambda v: (bn_train(xm, gamma, v, eps)[0] * dm).sum(), beta)

        m = len(xm)
        kept_var = var * m / (m - 1) if config["running_var"] == "unbiased" else var
        running_mean = updated(config, step, running_mean, mu)
        running_var = updated(config, step, running_var, kept_var)
        updates.append({
            "x": x,
            "dout": dout,
            "y": from_matrix(y, statistics, shape),
            "dx": from_matrix(dx, statistics, shape),
            "dgamma": dgamma,
            "dbeta": dbeta,
            "running_mean": running_mean,
            "running_var": running_var,
        })

    x, dout = draw(rng, *shape, mean=mean), draw(rng, *shape)
    xm, dm = to_matrix(x, statistics), to_matrix(dout, statistics)
    xn = normalize(xm, running_mean, running_var, eps)
    dx = dm * gamma / np.sqrt(running_var + eps)  # the running statistics are constants here
    check(dx, lambda v: ((gamma * normalize(v, running_mean, running_var, eps)) * dm).sum(), xm)
    return {
        "name": name,
        "config": {**config, "statistics": statistics},
        "gamma": gamma,
        "beta": beta,
        "updates": updates,
        "evaluation": {
            "x": x,
            "dout": dout,
            "y": from_matrix(gamma * xn + beta, statistics, shape),
            "dx": from_matrix(dx, statistics, shape),
            "dgamma": (dm * xn).sum(axis=0),
            "dbeta": dm.sum(axis=0),
        },
    }


def affine_case(rng, name, shape, outputs):
    inputs = int(np.prod(shape[1:]))
    x, dout = draw(rng, *shape), draw(rng, shape[0], outputs)
    weight, bias = draw(rng, inputs, outputs), draw(rng, outputs)
    flat = x.reshape(shape[0], -1)
    dx, dweight, dbias = (dout @ weight.T).reshape(shape), flat.T @ dout, dout.sum(axis=0)
    check(dx, lambda v: ((v.reshape(flat.shape) @ weight + bias) * dout).sum(), x)
    check(dweight, lambda v: ((flat @ v + bias) * dout).sum(), weight)
    check(dbias, lambda v: ((flat @ weight + v) * dout).sum(), bias)
    return {
        "name": name, "weight_layout": "(in, out)", "weight": weight, "bias": bias, "x": x,
        "dout": dout, "y": flat @ weight + bias, "dx": dx, "dweight": dweight, "dbias": dbias,
    }


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.where(x > 0, x, 0.0)


def activation_cases(rng):
    x, dout = draw(rng, 6, 5, std=3.0), draw(rng, 6, 5)
    y = sigmoid(x)
    dx = dout * y * (1 - y)
    check(dx, lambda v: (sigmoid(v) * dout).sum(), x)
    yield {"name": "sigmoid", "x": x, "dout": dout, "y": y, "dx": dx}

    x, dout = draw(rng, 6, 5), draw(rng, 6, 5)
    x[x == 0.0] = 0.5
    check(np.where(x > 0, dout, 0.0), lambda v: (relu(v) * dout).sum(), x)
    # At the kink there is no central difference. The book's gradient there is 0.
    x[0, 1], x[3, 4], x[5, 0] = 0.0, -0.0, 0.0
    yield {"name": "relu", "x": x, "dout": dout, "y": relu(x), "dx": np.where(x > 0, dout, 0.0)}


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def mean_cross_entropy(x, one_hot):
    top = x.max(axis=1, keepdims=True)
    log_softmax = x - top - np.log(np.exp(x - top).sum(axis=1, keepdims=True))
    return -(one_hot * log_softmax).sum() / len(x)


def softmax_with_loss_case(rng):
    x = draw(rng, 6, 4, std=3.0)
    labels = rng.integers(0, 4, size=6)
    one_hot = np.eye(4)[labels]
    y = softmax(x)
    dx = (y - one_hot) / len(x)
    check(dx, lambda v: mean_cross_entropy(v, one_hot), x)
    # The book adds 1e-7 inside the logarithm but differentiates without it.
    loss_book = -np.log(y[np.arange(6), labels] + 1e-7).mean()
    return {
        "name": "softmax_with_loss", "x": x, "labels": labels, "one_hot": one_hot, "y": y,
        "loss": float(mean_cross_entropy(x, one_hot)), "loss_book": float(loss_book), "dx": dx,
    }


def check(gradient, f, at, h=1e-4):
    """Central differences of the scalar function f must agree with the gradient."""
    numeric = np.empty_like(at)
    for i in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[i] += h
        down[i] -= h
        numeric[i] = (f(up) - f(down)) / (2 * h)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=2e-7)


def main():
    rng = np.random.default_rng(SEED)
    body = {
        "batch_norm": [
            bn_case(rng, "dense", BOOK, "per_feature", (6, 5)),
            bn_case(rng, "image_per_position", BOOK, "per_position", (5, 3, 2, 3)),
            bn_case(rng, "large_mean", BOOK, "per_feature", (6, 5), mean=1e4),
            bn_case(rng, "image_channels_first", BOOK, "channels_first", (4, 3, 2, 4)),
            bn_case(rng, "image_channels_last", BOOK, "channels_last", (4, 2, 4, 3)),
            bn_case(rng, "paper", PAPER, "per_feature", (6, 5)),
        ],
        "affine": [
            affine_case(rng, "dense", (6, 5), 3),
            affine_case(rng, "image", (4, 3, 2, 5), 3),
        ],
        "activation": list(activation_cases(rng)),
        "softmax_with_loss": softmax_with_loss_case(rng),
    }
    write("book.json", "make_book.py", SEED, {"numpy": np.__version__}, body)


if __name__ == "__main__":
    main()
