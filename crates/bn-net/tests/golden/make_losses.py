"""Makes losses.json: the losses of PyTorch and Keras and their gradients, on the CPU, in f64 and f32."""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
from torch import nn

from golden import draw, write

SEED = 41
IGNORED = 9
CLASS_WEIGHTS = [0.5, 2.0, 1.0, 0.25]
POSITIVE_WEIGHTS = [0.1, 3.0, 1.0]


def keras_cases(config, loss, x, t, dtype):
    """A loss of Keras, whose means on PyTorch are in f32 whatever the type."""
    if dtype == torch.float32:
        yield case("keras", config, lambda x, t: loss(t, x), x, t, dtype)


def case(name, config, loss, x, t, dtype):
    """`loss(x, t)` and its gradient. Labels are integers, other targets have the type of `x`."""
    x_ = torch.tensor(x, dtype=dtype, requires_grad=True)
    value = loss(x_, torch.tensor(t) if t.dtype.kind == "i" else torch.tensor(t, dtype=dtype))
    value.backward()
    dx = x_.grad.numpy().copy()
    return {"name": name, "config": config, "x": x, "t": t, "loss": value.item(), "dx": dx}


def softmax(dtype):
    rng = np.random.default_rng(SEED)
    moderate, labels = draw(rng, 7, 4, std=2.0), rng.integers(0, 4, size=7)
    labels[[1, 4]] = IGNORED
    extreme = np.array([[1e4, -1e4, 0, 0], [1e4, -1e4, 0, 0], [-1e4, -1e4, 1e4, 1e4], [0, 0, 0, 0]])
    extreme_labels = np.array([0, 1, IGNORED, 3])
    all_but_one = np.where(np.arange(7) == 2, labels, IGNORED)
    for reduction in ["mean", "sum"]:
        for name, x, t, smoothing, weights in [
            ("ignored", moderate, labels, 0.0, None),
            ("ignored, label smoothing", moderate, labels, 0.1, None),
            ("ignored, class weights", moderate, labels, 0.0, CLASS_WEIGHTS),
            ("ignored, both", moderate, labels, 0.1, CLASS_WEIGHTS),
            ("ignored, extreme", extreme, extreme_labels, 0.0, None),
            ("all but one ignored", moderate, all_but_one, 0.0, None),
        ]:
            weight = None if weights is None else torch.tensor(weights, dtype=dtype)
            loss = nn.CrossEntropyLoss(
                weight=weight, ignore_index=IGNORED, label_smoothing=smoothing, reduction=reduction
            )
            config = {
                "reduction": reduction,
                "ignored_label": IGNORED,
                "label_smoothing": smoothing,
                "class_weights": weights,
            }
            yield case(f"torch, {name}, {reduction}", config, loss, x, t, dtype)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=IGNORED)
    config = {"reduction": "mean", "ignored_label": IGNORED, "label_smoothing": 0.0, "class_weights": None}
    yield from keras_cases(config, loss, moderate, labels, dtype)


def binary(dtype):
    rng = np.random.default_rng(SEED + 1)
    logits, hard = draw(rng, 6, 3, std=3.0), rng.integers(0, 2, size=(6, 3)).astype(float)
    soft = rng.integers(0, 1025, size=(6, 3)) / 1024
    inside = rng.integers(1, 1024, size=(6, 3)) / 1024
    extreme = np.array([[1e4, -1e4, 1e4], [1e4, -1e4, -1e4], [0.0, 50.0, -50.0]])
    extreme_t = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.5, 0.25, 1.0]])
    weight = torch.tensor(POSITIVE_WEIGHTS, dtype=dtype)
    for reduction in ["mean", "sum"]:
        for name, x, t in [("hard", logits, hard), ("soft", logits, soft), ("extreme", extreme, extreme_t)]:
            loss = nn.BCEWithLogitsLoss(pos_weight=weight, reduction=reduction)
            config = {"reduction": reduction, "on": "logits", "positive_weights": POSITIVE_WEIGHTS}
            yield case(f"torch, weighted, {name}, {reduction}", config, loss, x, t, dtype)

        def weighted(p, t, reduction=reduction):
            """PyTorch has no weights of positive targets for probabilities: its formula for logits."""
            losses = -(weight * t * torch.log(p) + (1 - t) * torch.log(1 - p))
            return losses.mean() if reduction == "mean" else losses.sum()

        config = {"reduction": reduction, "on": "probabilities", "positive_weights": POSITIVE_WEIGHTS}
        yield case(f"formula, weighted, soft, {reduction}", config, weighted, inside, soft, dtype)
        config = {"reduction": reduction, "on": "probabilities", "positive_weights": None}
        loss = nn.BCELoss(reduction=reduction)
        yield case(f"torch, soft, {reduction}", config, loss, inside, soft, dtype)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    config = {"reduction": "mean", "on": "logits", "positive_weights": None}
    yield from keras_cases(config, loss, logits, soft, dtype)


def differences(dtype, torch_kind, keras_kind, delta=None):
    rng = np.random.default_rng(SEED + 2)
    x, t = draw(rng, 6, 4, std=2.0), draw(rng, 6, 4, std=2.0)
    # No difference, and one of exactly δ.
    x[0, 0], x[1, 1], x[2, 2] = t[0, 0], t[1, 1] + (delta or 1.0), t[2, 2] - (delta or 1.0)
    extreme, extreme_t = np.array([[1e4, -1e4], [1e4, 3.0]]), np.array([[-1e4, 1e4], [1e4, -1e4]])
    settings = {} if delta is None else {"delta": delta}
    for reduction in ["mean", "sum"]:
        config = {"reduction": reduction, "delta": delta}
        loss = torch_kind(reduction=reduction, **settings)
        yield case(f"torch, {reduction}", config, loss, x, t, dtype)
        yield case(f"torch, extreme, {reduction}", config, loss, extreme, extreme_t, dtype)
    config = {"reduction": "mean", "delta": delta}
    yield from keras_cases(config, keras_kind(**settings), x, t, dtype)


def section(dtype):
    huber = [
        case
        for delta in [1.0, 0.5]
        for case in differences(dtype, nn.HuberLoss, keras.losses.Huber, delta)
    ]
    return {
        "softmax": list(softmax(dtype)),
        "binary_cross_entropy": list(binary(dtype)),
        "mean_squared_error": list(differences(dtype, nn.MSELoss, keras.losses.MeanSquaredError)),
        "mean_absolute_error": list(differences(dtype, nn.L1Loss, keras.losses.MeanAbsoluteError)),
        "huber": huber,
    }


if __name__ == "__main__":
    body = {"f64": section(torch.float64), "f32": section(torch.float32)}
    versions = {"torch": torch.__version__, "keras": keras.__version__, "numpy": np.__version__}
    write("losses.json", "make_losses.py", SEED, versions, body)
