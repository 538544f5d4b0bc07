"""Runs the models of a folder by onnxruntime and compares their outputs with those of the library.

    pip install onnx onnxruntime numpy
    BN_PYTHON=python3 cargo test -p bn-onnx --test all runtime

The test writes NAME.onnx and NAME.json with `x` and `y`, the input and the output as flat lists, and `rows`, the size of
the batch. Each model must pass onnx.checker with its inferred shapes.
"""

import json
import pathlib
import sys

import numpy
import onnx
import onnxruntime

TOLERANCE = 1e-5


def check(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    [given], [output] = session.get_inputs(), session.get_outputs()
    assert (given.name, output.name) == ("input", "output"), (given.name, output.name)
    data = json.loads(path.with_suffix(".json").read_text())
    shape = [data["rows"], *given.shape[1:]]
    x = numpy.array(data["x"], numpy.float32).reshape(shape)
    [y] = session.run(None, {"input": x})
    assert list(y.shape[1:]) == output.shape[1:], (y.shape, output.shape)
    expected = numpy.array(data["y"], numpy.float32).reshape(y.shape)
    return float(numpy.abs(y - expected).max())


def main():
    paths = sorted(pathlib.Path(sys.argv[1]).glob("*.onnx"))
    failed = 0
    for path in paths:
        try:
            worst = check(path)
        except Exception as error:  # of the checker or the runtime
            print(f"{path.stem}: {error}")
            failed += 1
            continue
        if not worst <= TOLERANCE:
            print(f"{path.stem}: the outputs differ by {worst}")
            failed += 1
    print(f"{len(paths) - failed} of {len(paths)} models agree to {TOLERANCE}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
