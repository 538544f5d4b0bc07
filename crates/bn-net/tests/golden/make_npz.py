"""Writes book_params.npz and book_io.npz: a network of the book with plain NumPy, and keras_weights.npz and keras_io.npz: a
Sequential model of Keras after some steps of training. Made with NumPy 2.4 and Keras 3 on PyTorch:

    KERAS_BACKEND=torch python make_npz.py
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers

HERE = Path(__file__).parent


def book():
    """Affine, Batch Normalization with running statistics, ReLU, Affine: common/multi_layer_net_extend.py."""
    rng = np.random.RandomState(0)
    params = {
        "W1": rng.randn(6, 5),
        "b1": rng.randn(5),
        "gamma1": rng.rand(5) + 0.5,
        "beta1": rng.randn(5),
        "running_mean1": rng.randn(5),
        "running_var1": rng.rand(5) + 0.5,
        "W2": rng.randn(5, 3),
        "b2": rng.randn(3),
    }
    x = rng.randn(4, 6)
    y = x @ params["W1"] + params["b1"]
    y = (y - params["running_mean1"]) / np.sqrt(params["running_var1"] + 10e-7)
    y = np.maximum(params["gamma1"] * y + params["beta1"], 0)
    y = y @ params["W2"] + params["b2"]
    np.savez(HERE / "book_params.npz", **params)
    np.savez(HERE / "book_io.npz", x=x, y=y)


def of_keras():
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
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
    )
    x = np.random.RandomState(1).randn(32, 6, 6, 2).astype("float32")
    labels = np.arange(32) % 3
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss)
    model.fit(x, labels, epochs=5, batch_size=8, verbose=0)
    np.savez(HERE / "keras_weights.npz", *model.get_weights())
    x = x[:4]
    np.savez(HERE / "keras_io.npz", x=x.reshape(4, -1), y=model.predict(x, verbose=0))


book()
of_keras()
