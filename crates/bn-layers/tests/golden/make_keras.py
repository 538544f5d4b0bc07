"""Makes keras.json: Keras' BatchNormalization (TensorFlow backend) on the CPU, in f32."""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # it reorders sums

import keras
import numpy as np
import tensorflow as tf

from golden import draw, write

SEED = 99


def passed(layer, x, dout, training):
    xt = tf.constant(x, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(xt)
        y = layer(xt, training=training)
        total = tf.reduce_sum(y * tf.constant(dout, tf.float32))
    wanted = {"x": xt}
    if layer.scale:
        wanted["gamma"] = layer.gamma.value
    if layer.center:
        wanted["beta"] = layer.beta.value
    grads = {k: g.numpy() for k, g in tape.gradient(total, wanted).items()}
    return {
        "x": x, "dout": dout, "y": y.numpy(), "dx": grads["x"],
        "dgamma": grads.get("gamma"), "dbeta": grads.get("beta"),
    }


def bn_case(rng, name, shape, **options):
    layer = keras.layers.BatchNormalization(**options)
    layer.build((None, *shape[1:]))
    features = shape[layer.axis]
    gamma = draw(rng, features, mean=1.0, std=0.5) if layer.scale else None
    beta = draw(rng, features, std=0.5) if layer.center else None
    if layer.scale:
        layer.gamma.assign(gamma)
    if layer.center:
        layer.beta.assign(beta)
    updates = []
    for step in range(3):
        x = draw(rng, *shape, mean=0.5 * step, std=1.0 + 0.5 * step)
        update = passed(layer, x, draw(rng, *shape), training=True)
        updates.append({
            **update,
            "running_mean": layer.moving_mean.numpy().copy(),
            "running_var": layer.moving_variance.numpy().copy(),
        })
    if len(shape) == 2:
        statistics = "per_feature"
    else:
        statistics = "channels_first" if layer.axis == 1 else "channels_last"
    return {
        "name": name,
        "config": {
            "eps": layer.epsilon,
            "momentum_kept": layer.momentum,
            "axis": layer.axis,
            "scale": layer.scale,
            "center": layer.center,
            "statistics": statistics,
        },
        "gamma": gamma,
        "beta": beta,
        "updates": updates,
        "evaluation": passed(layer, draw(rng, *shape), draw(rng, *shape), training=False),
    }


def main():
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rng = np.random.default_rng(SEED)
    body = {
        "batch_norm": [
            bn_case(rng, "dense", (6, 5)),
            bn_case(rng, "dense_no_center", (6, 5), center=False),
            bn_case(rng, "dense_no_scale", (6, 5), scale=False),
            bn_case(rng, "dense_no_center_no_scale", (6, 5), center=False, scale=False),
            bn_case(rng, "image_channels_last", (4, 2, 5, 3)),
            bn_case(rng, "image_channels_first", (4, 3, 2, 5), axis=1),
        ],
    }
    versions = {
        "numpy": np.__version__, "keras": keras.__version__, "tensorflow": tf.__version__,
    }
    write("keras.json", "make_keras.py", SEED, versions, body)


if __name__ == "__main__":
    main()
