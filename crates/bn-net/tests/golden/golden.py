"""Shared by the golden scripts of this folder: inputs, and a JSON writer that keeps every bit."""

import json
import platform
from pathlib import Path

import numpy as np


def draw(rng, *shape, mean=0.0, std=1.0):
    """Normal numbers rounded to multiples of 1/1024, so that f32 and f64 hold the same inputs."""
    return np.round((mean + std * rng.standard_normal(shape)) * 1024) / 1024


def write(name, script, seed, versions, body):
    """Writes `body`, which may contain NumPy arrays, after a `made_by` entry."""
    made_by = {
        "script": script,
        "python": platform.python_version(),
        **versions,
        "seed": seed,
        "command": f"python {script}",
    }
    text = to_json({"made_by": made_by, **body}) + "\n"
    path = Path(__file__).with_name(name)
    path.write_text(text, encoding="utf-8")
    print(f"{name}: {len(text)} bytes")


def to_json(value, indent=""):
    """Puts an array on one line, and each entry of a dict or a list of dicts on its own line."""
    deeper = indent + " "
    if isinstance(value, np.ndarray):
        # float64 holds every float32 exactly, and Python prints the shortest digits that read back.
        exact = value if value.dtype.kind == "i" else value.astype(np.float64)
        return scalar({"shape": list(exact.shape), "data": exact.ravel(order="C").tolist()})
    if isinstance(value, dict):
        items = (f"{deeper}{scalar(k)}: {to_json(v, deeper)}" for k, v in value.items())
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        items = (deeper + to_json(v, deeper) for v in value)
        return "[\n" + ",\n".join(items) + f"\n{indent}]"
    return scalar(value)


def scalar(value):
    return json.dumps(value, allow_nan=False)
