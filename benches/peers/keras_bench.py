"""Keras on TensorFlow, as one compiled graph, on the work of work.py.

Usage: keras_bench.py THREADS CASE.
"""

import os

from work import (
    BOOK, GAN_BATCH, GAN_NOISE, INFERENCE, NORMALIZATIONS, RESNET_BATCH, RESNET_STAGES, STEPS,
    arguments, bn_case, describe, report, report_gan, report_resnet,
)  # fmt: skip

threads, case = arguments()
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras  # noqa: E402 (reads the environment)
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402


def network(sizes):
    model = keras.Sequential([keras.Input((sizes[0],))])
    for outputs in sizes[1:-1]:
        model.add(keras.layers.Dense(outputs))
        model.add(keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-6))
        model.add(keras.layers.ReLU())
    model.add(keras.layers.Dense(sizes[-1]))
    return model


def images(batch):
    return tf.constant(np.random.rand(batch, BOOK[0]).astype("float32"))


def wait(result):
    result.numpy()


def step():
    work = STEPS[case]
    train = training(network(work.sizes), images(work.batch))
    report(case, work.warm_up, work.repetitions, train, wait)


def training(model, x):
    """A step of cross entropy and SGD on `x`, as one compiled graph."""
    sgd = keras.optimizers.SGD(0.01)
    sgd.build(model.trainable_variables)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    t = tf.constant(np.random.randint(0, model.output_shape[-1], x.shape[0]))

    @tf.function
    def train(x, t):
        with tf.GradientTape() as tape:
            loss = cross_entropy(t, model(x, training=True))
        sgd.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    train(x, t).numpy()
    return lambda: train(x, t)


def batch_normalization():
    for shape, repetitions in NORMALIZATIONS:
        if len(shape) == 4:  # channels last is TensorFlow's native layout on a CPU
            n, c, h, w = shape
            shape = (n, h, w, c)
        bn = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
        bn.build((None, *shape[1:]))
        x = tf.random.normal(shape)
        dout = tf.random.normal(shape)

        @tf.function
        def forward_backward(x, dout):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = bn(x, training=True)
            dx, dgamma, dbeta = tape.gradient(
                y, [x] + bn.trainable_variables, output_gradients=dout
            )
            return dx, dgamma, dbeta

        report(bn_case(shape), 5, repetitions, lambda: forward_backward(x, dout)[1], wait)


def inference():
    model = network(BOOK)

    @tf.function
    def predict(x):
        return model(x, training=False)

    for batch, repetitions in INFERENCE:
        x = images(batch)
        report(f"infer {batch}", 10, repetitions, lambda: predict(x), wait)


def gan():
    """As Keras' tutorials write it: compiled models, `train_on_batch`."""
    layers = keras.layers
    generator = keras.Sequential([
        keras.Input((GAN_NOISE,)),
        layers.Dense(128 * 7 * 7),
        layers.LeakyReLU(negative_slope=0.2),
        layers.Reshape((7, 7, 128)),
        layers.Conv2DTranspose(64, 3, strides=2, padding="same"),
        layers.LeakyReLU(negative_slope=0.2),
        layers.BatchNormalization(),
        layers.Conv2DTranspose(1, 3, strides=2, padding="same", activation="tanh"),
    ])  # fmt: skip
    discriminator = keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Conv2D(64, 3, padding="same"),
        layers.LeakyReLU(negative_slope=0.2),
        layers.Dropout(0.25),
        layers.Conv2D(128, 3, strides=2, padding="same"),
        layers.LeakyReLU(negative_slope=0.2),
        layers.Dropout(0.25),
        layers.Flatten(),
        layers.Dense(1, activation="sigmoid"),
    ])  # fmt: skip

    def adam():
        return keras.optimizers.Adam(2e-4, beta_1=0.5)

    discriminator.compile(loss="binary_crossentropy", optimizer=adam())
    noise = keras.Input((GAN_NOISE,))
    discriminator.trainable = False
    both = keras.Model(noise, discriminator(generator(noise)))
    both.compile(loss="binary_crossentropy", optimizer=adam())
    x = np.random.rand(GAN_BATCH, 28, 28, 1).astype("float32") * 2 - 1
    real, fake = (np.full((GAN_BATCH, 1), t, "float32") for t in (1, 0))

    def draw():
        return np.random.normal(size=(GAN_BATCH, GAN_NOISE)).astype("float32")

    def iteration():
        fakes = generator.predict_on_batch(draw())
        discriminator.trainable = True
        discriminator.train_on_batch(x, real)
        discriminator.train_on_batch(fakes, fake)
        discriminator.trainable = False
        both.train_on_batch(draw(), real)

    report_gan(iteration)


def convolution(x, filters, kernel, stride):
    """A convolution and its normalization."""
    layers = keras.layers
    x = layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def resnet():
    layers = keras.layers
    inputs = keras.Input((28, 28, 1))
    x = layers.ReLU()(convolution(inputs, RESNET_STAGES[0][0], 3, 1))
    for stage, (filters, blocks) in enumerate(RESNET_STAGES):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            body = layers.ReLU()(convolution(x, filters, 3, stride))
            body = convolution(body, filters, 3, 1)
            shortcut = convolution(x, filters, 1, stride) if stride > 1 else x
            x = layers.ReLU()(layers.Add()([body, shortcut]))
    outputs = layers.Dense(10)(layers.GlobalAveragePooling2D()(x))
    x = tf.constant(np.random.rand(RESNET_BATCH, 28, 28, 1).astype("float32"))
    report_resnet(training(keras.Model(inputs, outputs), x), wait)


def main():
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    describe(
        f"Keras {keras.__version__}, TensorFlow {tf.__version__}",
        f"oneDNN {os.environ.get('TF_ENABLE_ONEDNN_OPTS', 'by default')}",
        tf.config.threading.get_intra_op_parallelism_threads(),
    )
    if case == "bn":
        batch_normalization()
    elif case == "infer":
        inference()
    elif case == "gan":
        gan()
    elif case == "resnet":
        resnet()
    else:
        step()


main()
