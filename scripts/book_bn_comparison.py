"""The book's comparison with and without Batch Normalization (ch06/batch_norm_test.py), in plain NumPy.

    python scripts/book_bn_comparison.py random > crates/bn-net/tests/golden/numpy_seed.json
    python scripts/book_bn_comparison.py mnist FOLDER > tests/examples/golden/numpy_seed.json

`random` trains on images that it draws, for three initialisations; `mnist` on the first 1000 images of
MNIST, whose files are in FOLDER, for all sixteen of the book. All numbers come from one np.random.seed(0),
in the order of the book's program; `cargo run --example bn_comparison -- --numpy-seed 0` repeats the
second run.

The networks are those of the book's common/multi_layer_net_extend.py with ReLU, in f64. The loss is the exact
cross-entropy, -log(softmax) in its stable form. The book adds 1e-7 to the probability; as its gradient ignores that,
the training is the same.
"""

import argparse
import gzip
import json
import platform
import sys
from pathlib import Path

import numpy as np

SEED = 0
HIDDEN = [100] * 5
CLASSES = 10
LR = 0.01
FIRST_LOSSES = 50


class Affine:
    def __init__(self, W, b):
        self.params = {"W": W, "b": b}

    def forward(self, x, train):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        self.grads = {"W": self.x.T @ dout, "b": dout.sum(axis=0)}
        return dout @ self.params["W"].T


class BatchNormalization:
    def __init__(self, size, momentum=0.9, eps=10e-7):
        self.params = {"gamma": np.ones(size), "beta": np.zeros(size)}
        self.momentum, self.eps = momentum, eps
        self.running_mean, self.running_var = np.zeros(size), np.zeros(size)

    def forward(self, x, train):
        mu, var = self.running_mean, self.running_var
        if train:
            mu = x.mean(axis=0)
            var = ((x - mu) ** 2).mean(axis=0)
            keep, add = self.momentum, 1 - self.momentum
            self.running_mean = keep * self.running_mean + add * mu
            self.running_var = keep * self.running_var + add * var
        self.std = np.sqrt(var + self.eps)
        self.xn = (x - mu) / self.std
        return self.params["gamma"] * self.xn + self.params["beta"]

    def backward(self, dout):
        n = len(dout)
        dgamma, dbeta = (dout * self.xn).sum(axis=0), dout.sum(axis=0)
        self.grads = {"gamma": dgamma, "beta": dbeta}
        return self.params["gamma"] / self.std * (dout - dbeta / n - self.xn * dgamma / n)


class Relu:
    params = grads = {}

    def forward(self, x, train):
        self.mask = x <= 0
        return np.where(self.mask, 0.0, x)

    def backward(self, dout):
        return np.where(self.mask, 0.0, dout)


class SoftmaxWithLoss:
    def forward(self, x, t):
        self.t = t
        x = x - x.max(axis=1, keepdims=True)
        log_y = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
        self.y = np.exp(log_y)
        return -log_y[np.arange(len(t)), t].mean()

    def backward(self):
        dx = self.y.copy()
        dx[np.arange(len(dx)), self.t] -= 1
        return dx / len(dx)


class MultiLayerNet:
    def __init__(self, input_size, weight_init_std, use_batchnorm):
        self.layers = []
        sizes = [input_size, *HIDDEN, CLASSES]
        for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
            scale = np.sqrt(2.0 / inputs) if weight_init_std == "he" else weight_init_std
            self.layers.append(Affine(scale * np.random.randn(inputs, outputs), np.zeros(outputs)))
            if i < len(HIDDEN):
                self.layers += [BatchNormalization(outputs)] if use_batchnorm else []
                self.layers.append(Relu())
        self.last_layer = SoftmaxWithLoss()

    def predict(self, x, train=False):
        for layer in self.layers:
            x = layer.forward(x, train)
        return x

    def train_step(self, x, t):
        loss = self.last_layer.forward(self.predict(x, train=True), t)
        dout = self.last_layer.backward()
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        for layer in self.layers:
            for name, gradient in layer.grads.items():
                layer.params[name] -= LR * gradient
        return loss

    def accuracy(self, x, t):
        return (self.predict(x).argmax(axis=1) == t).mean()


def compare(x, t, weight_init_std, batch_size, updates, accuracies):
    """The losses of the first updates and the accuracies after each epoch, with None once they are not finite."""
    with_bn = MultiLayerNet(x.shape[1], weight_init_std, use_batchnorm=True)
    without = MultiLayerNet(x.shape[1], weight_init_std, use_batchnorm=False)
    networks = {"batch_norm": with_bn, "plain": without}
    losses, accuracy = ({name: [] for name in networks} for _ in range(2))
    for step in range(updates):
        batch = np.random.choice(len(x), batch_size)
        for name, network in networks.items():
            losses[name].append(network.train_step(x[batch], t[batch]))
            if accuracies and step % (len(x) // batch_size) == 0:
                accuracy[name].append(network.accuracy(x, t))
    finite = lambda values: [float(v) if np.isfinite(v) else None for v in values]  # noqa: E731
    panel = {"weight_init_std": weight_init_std}
    for name in networks:
        panel[name] = {"losses": finite(losses[name][:FIRST_LOSSES])}
        if accuracies:
            panel[name]["accuracies"] = finite(accuracy[name])
    return panel


def read_idx(path, header):
    packed = path.with_name(path.name + ".gz")
    data = gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes()
    return np.frombuffer(data, np.uint8, offset=header)


def on_random_images():
    x, t = np.random.rand(200, 64), np.random.randint(0, CLASSES, 200)
    return [compare(x, t, std, 20, FIRST_LOSSES, False) for std in (1.0, 0.01, "he")]


def on_mnist(folder):
    x = read_idx(folder / "train-images-idx3-ubyte", 16).reshape(-1, 784)[:1000]
    x = x.astype(np.float32) / 255.0
    t = read_idx(folder / "train-labels-idx1-ubyte", 8)[:1000].astype(np.int64)
    return [compare(x, t, std, 100, 191, True) for std in np.logspace(0, -4, num=16)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="data", required=True)
    commands.add_parser("random")
    commands.add_parser("mnist").add_argument("folder", type=Path)
    args = parser.parse_args()

    np.seterr(over="ignore", invalid="ignore")  # without Batch Normalization
    np.random.seed(SEED)
    panels = on_random_images() if args.data == "random" else on_mnist(args.folder)
    made_by = {
        "script": "scripts/book_bn_comparison.py",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "seed": SEED,
    }
    lines = ",\n  ".join(json.dumps(panel, allow_nan=False) for panel in panels)
    sys.stdout.write(f'{{\n "made_by": {json.dumps(made_by)},\n "panels": [\n  {lines}\n ]\n}}\n')


if __name__ == "__main__":
    main()
