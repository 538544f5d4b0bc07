"""Makes metrics.json: the metrics of scikit-learn and Keras, on the CPU, in f64."""

import os
import warnings

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import sklearn
from sklearn import metrics as sk
from sklearn.exceptions import UndefinedMetricWarning

from golden import draw, write

SEED = 53
warnings.simplefilter("ignore", UndefinedMetricWarning)  # of classes that do not occur


def scores(t, predicted, averages):
    """Precision, recall and F1 by scikit-learn."""
    kinds = {"precision": sk.precision_score, "recall": sk.recall_score, "F1": sk.f1_score}
    return {
        f"{average} {name}": float(score(t, predicted, average=average, zero_division=0))
        for name, score in kinds.items()
        for average in averages
    }


def keras_value(metric, t, y):
    metric.update_state(t, y)
    return float(metric.result())


def classes():
    """Largest outputs; in the second case, some classes are neither labels nor predicted."""
    rng = np.random.default_rng(SEED)
    for name, outputs, used in [("all classes", 5, [0, 1, 2, 3, 4]), ("unused classes", 7, [0, 2, 5])]:
        labels = rng.choice(used, size=40)
        y = draw(rng, 40, outputs)
        y[np.arange(40), labels] += 0.5
        y[:, [k for k in range(outputs) if k not in used]] -= 8
        predicted = y.argmax(axis=1)
        every = np.arange(outputs)
        values = {
            "accuracy": float(sk.accuracy_score(labels, predicted)),
            "top-2 accuracy": float(sk.top_k_accuracy_score(labels, y, k=2, labels=every)),
            "keras top-3": keras_value(keras.metrics.SparseTopKCategoricalAccuracy(k=3), labels, y),
            **scores(labels, predicted, ["macro", "micro", "weighted"]),
        }
        yield {"name": name, "y": y, "t": labels, "values": values}


def binary():
    """One output. Scores have many ties, or none, or one class is rare."""
    rng = np.random.default_rng(SEED + 1)
    for name, n, share, step in [("ties", 60, 0.4, 2), ("no ties", 50, 0.5, 4096), ("rare", 80, 0.05, 16)]:
        labels = (rng.random(n) < share).astype(int)
        labels[:2] = [0, 1]
        y = np.round((rng.standard_normal(n) + labels) * step) / step
        fpr, tpr, thresholds = sk.roc_curve(labels, y)
        predicted = (y > 0).astype(int)
        values = {
            "accuracy": float(sk.accuracy_score(labels, predicted)),
            "AUC": float(sk.roc_auc_score(labels, y)),
            **scores(labels, predicted, ["binary", "macro", "micro", "weighted"]),
        }
        curve = {"fpr": fpr, "tpr": tpr, "thresholds": thresholds[1:]}  # JSON has no infinity
        yield {"name": name, "y": y[:, None], "t": labels, "values": values, "roc": curve}


def labels():
    """Several labels at once; the second case has an output that is never positive, in y or in t."""
    rng = np.random.default_rng(SEED + 2)
    for name in ["labels", "an unused label"]:
        t = (rng.random((30, 4)) < 0.4).astype(int)
        y = draw(rng, 30, 4) + t - 0.5
        if name == "an unused label":
            t[:, 2], y[:, 2] = 0, -1.0
        predicted = (y > 0).astype(int)
        values = {
            "keras accuracy": keras_value(keras.metrics.BinaryAccuracy(threshold=0.0), t, y),
            "subset accuracy": float(sk.accuracy_score(t, predicted)),
            **scores(t, predicted, ["macro", "micro", "weighted"]),
        }
        yield {"name": name, "y": y, "t": t.astype(float), "values": values}


def regression():
    rng = np.random.default_rng(SEED + 3)
    for name, width in [("one output", 1), ("several outputs", 3), ("constant targets", 3)]:
        t = draw(rng, 25, width, mean=100.0)
        y = t + draw(rng, 25, width, std=0.3)
        if name == "constant targets":
            t[:, 0], y[:, 0] = 7.0, 7.0  # exact
            t[:, 1] = 3.0  # not exact
        squared = float(sk.mean_squared_error(t, y))
        if width == 1:
            root = float(sk.root_mean_squared_error(t, y))
        else:
            root = float(np.sqrt(squared))
        values = {
            "MAE": float(sk.mean_absolute_error(t, y)),
            "MSE": squared,
            "RMSE": root,
            "keras RMSE": keras_value(keras.metrics.RootMeanSquaredError(), t, y),
            "R2": float(sk.r2_score(t, y)),
        }
        yield {"name": name, "y": y, "t": t, "values": values}


if __name__ == "__main__":
    body = {
        "classes": list(classes()),
        "binary": list(binary()),
        "labels": list(labels()),
        "regression": list(regression()),
    }
    versions = {"scikit-learn": sklearn.__version__, "keras": keras.__version__, "numpy": np.__version__}
    write("metrics.json", "make_metrics.py", SEED, versions, body)
