"""The book's layers in NumPy, f32, on the work of work.py. Usage: numpy_bench.py THREADS CASE."""

import math

import numpy as np
import threadpoolctl

from work import BOOK, INFERENCE, NORMALIZATIONS, STEPS, arguments, bn_case, describe, report

rng = np.random.default_rng(0)
f32 = np.float32


class Affine:
    def __init__(self, inputs, outputs):
        bound = 1 / math.sqrt(inputs)
        self.W = rng.uniform(-bound, bound, (inputs, outputs)).astype(f32)
        self.b = np.zeros(outputs, f32)

    def forward(self, x, train):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.sum(axis=0)
        return dout @ self.W.T

    def params(self):
        return [(self.W, self.dW), (self.b, self.db)]


class Relu:
    def forward(self, x, train):
        self.mask = x <= 0
        y = x.copy()
        y[self.mask] = 0
        return y

    def backward(self, dout):
        dout[self.mask] = 0
        return dout

    def params(self):
        return []


class BatchNormalization:
    def __init__(self, channels, momentum=0.9, eps=1e-6):
        self.gamma = np.ones(channels, f32)
        self.beta = np.zeros(channels, f32)
        self.momentum = momentum
        self.eps = f32(eps)
        self.running_mean = np.zeros(channels, f32)
        self.running_var = np.zeros(channels, f32)

    # The book flattens (N, C, H, W) to (N, C*H*W). The frameworks' statistics are per channel, so
    # here it is flattened to (N*H*W, C).
    def to_rows(self, x):
        if len(self.shape) == 4:
            x = x.transpose(0, 2, 3, 1).reshape(-1, self.shape[1])
        return x

    def from_rows(self, y):
        if len(self.shape) == 4:
            n, c, h, w = self.shape
            y = y.reshape(n, h, w, c).transpose(0, 3, 1, 2)
        return y

    def forward(self, x, train):
        self.shape = x.shape
        x = self.to_rows(x)
        if train:
            mu = x.mean(axis=0)
            xc = x - mu
            var = np.mean(xc**2, axis=0)
            std = np.sqrt(var + self.eps)
            xn = xc / std
            self.n, self.xc, self.xn, self.std = x.shape[0], xc, xn, std
            m = self.momentum
            self.running_mean = m * self.running_mean + (1 - m) * mu
            self.running_var = m * self.running_var + (1 - m) * var
        else:
            xn = (x - self.running_mean) / np.sqrt(self.running_var + self.eps)
        return self.from_rows(self.gamma * xn + self.beta)

    def backward(self, dout):
        dout = self.to_rows(dout)
        self.dbeta = dout.sum(axis=0)
        self.dgamma = np.sum(self.xn * dout, axis=0)
        dxn = self.gamma * dout
        dxc = dxn / self.std
        dstd = -np.sum(dxn * self.xc / (self.std * self.std), axis=0)
        dvar = f32(0.5) * dstd / self.std
        dxc += f32(2.0 / self.n) * self.xc * dvar
        dmu = dxc.sum(axis=0)
        return self.from_rows(dxc - dmu / f32(self.n))

    def params(self):
        return [(self.gamma, self.dgamma), (self.beta, self.dbeta)]


class Network:
    def __init__(self, sizes):
        self.layers = []
        for inputs, outputs in zip(sizes[:-2], sizes[1:-1]):
            self.layers += [Affine(inputs, outputs), BatchNormalization(outputs), Relu()]
        self.layers.append(Affine(sizes[-2], sizes[-1]))

    def forward(self, x, train):
        for layer in self.layers:
            x = layer.forward(x, train)
        return x

    def step(self, x, t, lr=0.01):
        z = self.forward(x, True)
        z = z - z.max(axis=1, keepdims=True)
        e = np.exp(z)
        y = e / e.sum(axis=1, keepdims=True)
        n = x.shape[0]
        rows = np.arange(n)
        loss = -np.log(y[rows, t] + f32(1e-7)).mean()
        y[rows, t] -= 1
        dout = y / f32(n)
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        for layer in self.layers:
            for value, grad in layer.params():
                value -= f32(lr) * grad
        return loss


def step(case):
    work = STEPS[case]
    network = Network(work.sizes)
    x = rng.random((work.batch, work.sizes[0])).astype(f32)
    t = rng.integers(0, work.sizes[-1], work.batch)
    report(case, work.warm_up, work.repetitions, lambda: network.step(x, t))


def batch_normalization():
    for shape, repetitions in NORMALIZATIONS:
        bn = BatchNormalization(shape[1], eps=1e-5)
        x = rng.standard_normal(shape).astype(f32)
        dout = rng.standard_normal(shape).astype(f32)

        def forward_backward():
            bn.forward(x, True)
            bn.backward(dout)

        report(bn_case(shape), 5, repetitions, forward_backward)


def inference():
    network = Network(BOOK)
    for batch, repetitions in INFERENCE:
        x = rng.random((batch, BOOK[0])).astype(f32)
        report(f"infer {batch}", 10, repetitions, lambda: network.forward(x, False))


def main():
    _, case = arguments()
    blas = [i for i in threadpoolctl.threadpool_info() if i["user_api"] == "blas"]
    names = [f"{i['internal_api']} {i.get('version')} ({i.get('architecture')})" for i in blas]
    threads = max((i["num_threads"] for i in blas), default=1)
    describe(f"NumPy {np.__version__}", ", ".join(names), threads)
    if case == "bn":
        batch_normalization()
    elif case == "infer":
        inference()
    else:
        step(case)


main()
