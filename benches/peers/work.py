"""The work that every framework does, how it is timed, and what is printed about it.

A program prints JSON lines: first what ran (`describe`), then one for each measurement (`report`).
"""

import json
import sys
import time
from dataclasses import dataclass

CASES = ["book", "mid", "big", "bn", "infer", "gan", "resnet"]


@dataclass
class Step:
    """A training step of Linear, BatchNorm and ReLU in each hidden layer, then Linear.

    Forward, cross entropy, backward and SGD at a rate of 0.01.
    """

    sizes: list[int]
    batch: int
    repetitions: int
    warm_up: int = 10


BOOK = [784] + [100] * 5 + [10]
STEPS = {
    "book": Step(BOOK, batch=100, repetitions=200),
    "mid": Step([784] + [512] * 3 + [10], batch=256, repetitions=40),
    "big": Step([784] + [2048] * 3 + [10], batch=1024, repetitions=3, warm_up=3),
}

# A single Batch Normalization, forward and backward to x, gamma and beta: shape and repetitions.
# Each is warmed up 5 times.
NORMALIZATIONS = [
    ((100, 100), 500),
    ((1024, 1024), 30),
    ((8192, 4096), 1),
    ((64, 64, 28, 28), 10),  # (N, C, H, W)
]

# The book's network in evaluation: batch and repetitions. Each is warmed up 10 times.
INFERENCE = [(1, 2000), (100, 300), (10_000, 5)]

# An iteration of Keras' DCGAN on MNIST: fakes, an update of the discriminator by real images and one
# by the fakes, an update of the generator. Adam with a rate of 2e-4 and beta1 0.5.
GAN_BATCH = 128
GAN_NOISE = 100


# A training step of a residual network for 28×28 images of one channel and 10 classes: filters and blocks of
# each stage, 3×3 convolutions; a stage but the first halves the image. SGD at a rate of 0.01.
RESNET_STAGES = [(16, 2), (32, 2), (64, 2)]
RESNET_BATCH = 128


def arguments():
    """`THREADS CASE` of the command line."""
    if len(sys.argv) != 3 or not sys.argv[1].isdigit() or sys.argv[2] not in CASES:
        sys.exit(f"usage: {sys.argv[0]} THREADS {'|'.join(CASES)}")
    return int(sys.argv[1]), sys.argv[2]


def describe(engine, blas, threads):
    """Prints what runs: name and version, the library for matrix products, the number of threads."""
    print(json.dumps({"engine": engine, "blas": blas, "threads": threads}), flush=True)


def report(case, warm_up, repetitions, f, wait=lambda result: None):
    """Times `f`: the median of seven, each the mean of `repetitions` calls.

    `wait` gets the last result, for a framework that returns before the work is done.
    """
    for _ in range(warm_up):
        f()
    times = []
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(repetitions):
            result = f()
        wait(result)
        times.append((time.perf_counter() - start) / repetitions)
    print(json.dumps({"case": case, "ms": sorted(times)[3] * 1e3}), flush=True)


def report_gan(iteration):
    """Times an iteration of the DCGAN."""
    report("gan", 3, 2, iteration)


def report_resnet(step, wait=lambda result: None):
    """Times a step of the residual network."""
    report("resnet", 5, 5, step, wait)


def bn_case(shape):
    """The name of the measurement of Batch Normalization for this shape."""
    return "bn " + "x".join(map(str, shape))
