"""Runs the modules of a folder in PyTorch and compares their outputs with those of the library.

    pip install torch safetensors
    BN_PYTHON=python3 cargo test -p bn-torch --test all runtime

The test writes NAME.py, which defines `model`, NAME.safetensors, its state_dict, and NAME.json with `x` and `y`, the
input and the output in evaluation as flat lists, and the shape of `x`. PyTorch must load the state_dict with
`strict=True`, compute `y`, and write the same bytes again.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import load_file, save

TOLERANCE = 1e-5


def check(path):
    names = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    model, file = names["model"], path.with_suffix(".safetensors")
    if file.stat().st_size > 16:  # the format has files without tensors, which `load_file` refuses
        model.load_state_dict(load_file(file), strict=True)
        assert save(model.state_dict()) == file.read_bytes(), "PyTorch writes other bytes"
    data = json.loads(path.with_suffix(".json").read_text())
    x = torch.tensor(data["x"]).reshape(data["shape"])
    model.train()(torch.cat([x, x + 1]))  # every layer can be trained
    if file.stat().st_size > 16:
        model.load_state_dict(load_file(file), strict=True)
    with torch.no_grad():
        y = model.eval()(x)
    expected = torch.tensor(data["y"]).reshape(y.shape)
    return (y - expected).abs().max().item()


def main():
    paths = sorted(pathlib.Path(sys.argv[1]).glob("*.py"))
    failed = 0
    for path in paths:
        try:
            worst = check(path)
        except Exception as error:
            print(f"{path.stem}: {type(error).__name__}: {error}")
            failed += 1
            continue
        if not worst <= TOLERANCE:
            print(f"{path.stem}: the outputs differ by {worst}")
            failed += 1
    print(f"{len(paths) - failed} of {len(paths)} modules agree to {TOLERANCE}, torch {torch.__version__}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
