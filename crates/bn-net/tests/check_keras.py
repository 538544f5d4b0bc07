"""Reads weights of the library into models of Keras and compares their outputs with those of the library.

    pip install keras torch numpy
    BN_PYTHON=python3 cargo test -p bn-net --features npz --test all npz

The test writes NAME.npz with the weights of a network and NAME_io.npz with `x` and `y`, its input and its output. The
models have the layers of the networks in npz.rs.
"""

import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np
from keras import layers

TOLERANCE = 1e-5


def dense():
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


def convolutional():
    return [
        keras.Input((6, 6, 2)),
        layers.Conv2D(4, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv2DTranspose(3, 3, strides=2, padding="same"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dropout(0.2),
        layers.Dense(8, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dense(3),
    ]


def main():
    folder = pathlib.Path(sys.argv[1])
    failed = False
    for make in (dense, convolutional):
        model = keras.Sequential(make())
        with np.load(folder / f"{make.__name__}.npz") as file:
            model.set_weights([file[f"arr_{i}"] for i in range(len(file.files))])
        with np.load(folder / f"{make.__name__}_io.npz") as file:
            x, expected = file["x"], file["y"]
        y = model.predict(x.reshape(-1, *model.input_shape[1:]), verbose=0)
        worst = np.abs(y - expected).max()
        print(f"Keras {keras.__version__}, {make.__name__}: the largest difference is {worst:.1e}")
        failed |= not worst <= TOLERANCE
    sys.exit(failed)


if __name__ == "__main__":
    main()
