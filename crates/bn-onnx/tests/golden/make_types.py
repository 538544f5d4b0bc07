"""Makes two golden models node by node, with what onnxruntime computes: `numbers.onnx` has arrays of 16 and 64 bits,
`old.onnx` is in the form of opset 9, with settings as attributes and the initializers among the inputs.

    pip install onnx onnxruntime numpy
    python make_types.py

Made with onnx 1.23.2, onnxruntime 1.32.0 and numpy 2.4.6.
"""

import json
import pathlib

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
RANDOM = numpy.random.default_rng(1)


def draw(*shape):
    return RANDOM.normal(size=shape).astype(numpy.float32) * 0.5


def typed(name, values, data_type):
    """An array whose values are in the field of its type, and not in raw_data."""
    return helper.make_tensor(name, data_type, values.shape, values.flatten().tolist())


def numbers():
    arrays = [
        numpy_helper.from_array(draw(3, 2, 3, 3).astype(numpy.float16), "kernel16"),
        typed("shift16", draw(3), TensorProto.FLOAT16),
        numpy_helper.from_array(numpy.array([0, 0, 1, 2, 0, 0, 2, 1]), "pads"),
        numpy_helper.from_array(numpy.array(0, numpy.float32), "zero"),
        numpy_helper.from_array(numpy.array(6, numpy.float32), "six"),
        typed("w", draw(3, 4), TensorProto.FLOAT),
        helper.make_tensor("b16", TensorProto.BFLOAT16, [4], [0.5, -1.25, 2, 0.0625]),
        numpy_helper.from_array(draw(4, 5).astype(numpy.float64), "w64"),
        typed("b64", draw(5).astype(numpy.float64), TensorProto.DOUBLE),
    ]
    cast = [
        helper.make_node("Cast", [name], [f"{name}_f"], to=TensorProto.FLOAT)
        for name in ["kernel16", "shift16", "b16", "w64", "b64"]
    ]
    nodes = cast + [
        helper.make_node("Pad", ["x", "pads"], ["padded"], mode="reflect"),
        helper.make_node("Conv", ["padded", "kernel16_f", "shift16_f"], ["c"], strides=[2, 2], auto_pad="SAME_UPPER"),
        helper.make_node("Clip", ["c", "zero", "six"], ["relu6"]),
        helper.make_node("ReduceMean", ["relu6"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Gemm", ["mean", "w", "b16_f"], ["g"], alpha=0.5, beta=2.0),
        helper.make_node("MatMul", ["g", "w64_f"], ["m"]),
        helper.make_node("Add", ["b64_f", "m"], ["a"]),
        helper.make_node("LogSoftmax", ["a"], ["logits"], axis=-1),
    ]
    return nodes, arrays, (2, 6, 7), 13


def old():
    arrays = [
        typed("kernel", draw(4, 2, 2, 2), TensorProto.FLOAT),
        typed("gamma", draw(4), TensorProto.FLOAT),
        typed("beta", draw(4), TensorProto.FLOAT),
        typed("mean", draw(4), TensorProto.FLOAT),
        typed("var", numpy.abs(draw(4)) + 0.5, TensorProto.FLOAT),
        typed("shape", numpy.array([-1, 48]), TensorProto.INT64),
        typed("w", draw(3, 48), TensorProto.FLOAT),
        typed("b", draw(1, 3), TensorProto.FLOAT),
    ]
    nodes = [
        helper.make_node("Pad", ["x"], ["padded"], pads=[0, 0, 1, 0, 0, 0, 0, 1], mode="constant", value=0.0),
        helper.make_node("Conv", ["padded", "kernel"], ["c"], kernel_shape=[2, 2]),
        helper.make_node("BatchNormalization", ["c", "gamma", "beta", "mean", "var"], ["n"], epsilon=1e-3),
        helper.make_node("Clip", ["n"], ["r"], min=0.0, max=6.0),
        helper.make_node("Dropout", ["r"], ["d"], ratio=0.25),
        helper.make_node("Reshape", ["d", "shape"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "b"], ["g"], transB=1),
        helper.make_node("Softmax", ["g"], ["logits"]),
    ]
    return nodes, arrays, (2, 4, 3), 9


def main():
    for make in [numbers, old]:
        nodes, arrays, shape, opset = make()
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape])]
        if opset < 11:
            inputs += [helper.make_tensor_value_info(array.name, array.data_type, array.dims) for array in arrays]
        output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", None])
        graph = helper.make_graph(nodes, make.__name__, inputs, [output], arrays)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8 if opset > 9 else 3)
        onnx.checker.check_model(model, full_check=True)
        (HERE / f"{make.__name__}.onnx").write_bytes(model.SerializeToString())
        x = draw(3, *shape) * 4
        [logits] = onnxruntime.InferenceSession(model.SerializeToString()).run(["logits"], {"x": x})
        golden = {name: [float(str(value)) for value in values.flatten()] for name, values in [("x", x), ("logits", logits)]}
        (HERE / f"{make.__name__}.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
