"""Writes keras_dcgan.json: the layers of Keras' DCGAN, their output shapes and parameters.

Needs Keras 3 on TensorFlow: python keras_dcgan.py > keras_dcgan.json
"""

import json
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
from keras import Input, Sequential, layers  # noqa: E402

generator = Sequential([
    Input((100,)),
    layers.Dense(7 * 7 * 128),
    layers.LeakyReLU(negative_slope=0.2),
    layers.Reshape((7, 7, 128)),
    layers.Conv2DTranspose(64, 3, strides=2, padding="same"),
    layers.LeakyReLU(negative_slope=0.2),
    layers.BatchNormalization(),
    layers.Conv2DTranspose(1, 3, strides=2, padding="same"),
    layers.Activation("tanh"),
])  # fmt: skip
discriminator = Sequential([
    Input((28, 28, 1)),
    layers.Conv2D(64, 3, padding="same"),
    layers.LeakyReLU(negative_slope=0.2),
    layers.Dropout(0.25),
    layers.Conv2D(128, 3, strides=2, padding="same"),
    layers.LeakyReLU(negative_slope=0.2),
    layers.Dropout(0.25),
    layers.Flatten(),
    layers.Dense(1),
])  # fmt: skip


def described(model):
    return {
        "parameters": model.count_params(),
        "trained": sum(w.shape.num_elements() for w in model.trainable_weights),
        "layers": [
            {"name": type(layer).__name__, "shape": list(layer.output.shape[1:])}
            for layer in model.layers
        ],
    }


print(json.dumps({"generator": described(generator), "discriminator": described(discriminator)}, indent=1))
