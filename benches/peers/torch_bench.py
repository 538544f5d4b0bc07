"""PyTorch, eager, on the work of work.py. Usage: torch_bench.py THREADS CASE."""

import torch
from torch import nn

from work import BOOK, INFERENCE, NORMALIZATIONS, STEPS, arguments, bn_case, describe, report


def network(sizes):
    layers = []
    for inputs, outputs in zip(sizes[:-2], sizes[1:-1]):
        layers += [
            nn.Linear(inputs, outputs),
            nn.BatchNorm1d(outputs, eps=1e-6, momentum=0.1),
            nn.ReLU(),
        ]
    layers.append(nn.Linear(sizes[-2], sizes[-1]))
    return nn.Sequential(*layers)


def step(case):
    work = STEPS[case]
    model = network(work.sizes).train()
    sgd = torch.optim.SGD(model.parameters(), lr=0.01)
    cross_entropy = nn.CrossEntropyLoss()
    x = torch.rand(work.batch, work.sizes[0])
    t = torch.randint(0, work.sizes[-1], (work.batch,))

    def train():
        sgd.zero_grad(set_to_none=True)
        cross_entropy(model(x), t).backward()
        sgd.step()

    report(case, 10, work.repetitions, train)


def batch_normalization():
    for shape, repetitions in NORMALIZATIONS:
        bn = (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(shape[1])
        x = torch.randn(shape, requires_grad=True)
        dout = torch.randn(shape)

        def forward_backward():
            y = bn(x)
            x.grad = None
            y.backward(dout)

        report(bn_case(shape), 5, repetitions, forward_backward)


def inference():
    model = network(BOOK).eval()
    with torch.inference_mode():
        for batch, repetitions in INFERENCE:
            x = torch.rand(batch, BOOK[0])
            report(f"infer {batch}", 10, repetitions, lambda: model(x))


def main():
    threads, case = arguments()
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    backends = [name for name in ("mkl", "mkldnn") if getattr(torch.backends, name).is_available()]
    blas = ", ".join(backends + [torch.backends.cpu.get_cpu_capability()])
    describe(f"PyTorch {torch.__version__}", blas, torch.get_num_threads())
    if case == "bn":
        batch_normalization()
    elif case == "infer":
        inference()
    else:
        step(case)


main()
