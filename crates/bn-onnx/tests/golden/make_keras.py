"""Makes the golden files of this folder that come from Keras: trained models as ONNX models, with inputs and logits.

    pip install keras torch onnx onnxscript numpy
    KERAS_BACKEND=torch python make_keras.py

Made with Keras 3.15.1 on torch 2.15.0 (CPU), onnx 1.23.2, onnxscript 0.7.2 and numpy 2.4.6. The input's signature has a
batch of 1: without it the exported model computes paddings and shapes when it runs.

Each NAME.json holds flat lists: `x` (N, D) or (N, H, W, C) and `logits` (N, classes).
"""

import json
import pathlib

import keras
import numpy as np
import onnx
from keras import layers

HERE = pathlib.Path(__file__).parent


def keras_mlp():
    return [
        keras.Input((6,)),
        layers.Dense(8),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dropout(0.3),
        layers.Dense(5, use_bias=False),
        layers.BatchNormalization(),
        layers.Activation("tanh"),
        layers.Dense(3),
    ]


def keras_cnn():
    return [
        keras.Input((8, 8, 2)),
        layers.Conv2D(4, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(2),
        layers.Conv2D(5, 3, strides=2, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.Activation("sigmoid"),
        layers.Flatten(),
        layers.Dropout(0.2),
        layers.Dense(3),
    ]


def keras_pooled():
    return [
        keras.Input((6, 4, 1)),
        layers.Conv2D(6, 3),
        layers.BatchNormalization(),
        layers.LeakyReLU(0.2),
        layers.Conv2D(8, 1),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3),
    ]


def strip(path):
    """Removes the exporter's notes, which have the paths of its source files."""
    model = onnx.load(path)
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
    onnx.save(model, path)


def main():
    for make in (keras_mlp, keras_cnn, keras_pooled):
        keras.utils.set_random_seed(1)
        model = keras.Sequential(make())
        shape = model.input_shape[1:]
        x = np.random.RandomState(1).randn(32, *shape).astype("float32")
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss)
        model.fit(x, np.arange(32) % 3, epochs=5, batch_size=8, verbose=0)
        signature = [keras.InputSpec(shape=(1, *shape), dtype="float32")]
        path = HERE / f"{make.__name__}.onnx"
        model.export(path, format="onnx", verbose=False, input_signature=signature)
        strip(path)
        x = x[:4]
        flat = lambda array: [float(str(value)) for value in array.flatten()]  # the shortest decimals
        golden = {"x": flat(x), "logits": flat(model.predict(x, verbose=0))}
        path.with_suffix(".json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
