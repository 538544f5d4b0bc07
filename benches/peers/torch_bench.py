"""PyTorch, eager, on the work of work.py. Usage: torch_bench.py THREADS CASE."""

import torch
from torch import nn

from work import (
    BOOK, GAN_BATCH, GAN_NOISE, INFERENCE, NORMALIZATIONS, RESNET_BATCH, RESNET_STAGES, STEPS,
    arguments, bn_case, describe, report, report_gan, report_resnet,
)  # fmt: skip


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


def gan():
    # PyTorch's convolutions are faster with channels last.
    last = torch.channels_last
    generator = nn.Sequential(
        nn.Linear(GAN_NOISE, 128 * 7 * 7),
        nn.LeakyReLU(0.2),
        nn.Unflatten(1, (128, 7, 7)),
        nn.ConvTranspose2d(128, 64, 3, stride=2, padding=1, output_padding=1),
        nn.LeakyReLU(0.2),
        nn.BatchNorm2d(64, eps=1e-3, momentum=0.01),
        nn.ConvTranspose2d(64, 1, 3, stride=2, padding=1, output_padding=1),
        nn.Tanh(),
    ).to(memory_format=last)
    discriminator = nn.Sequential(
        nn.Conv2d(1, 64, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.25),
        nn.Conv2d(64, 128, 3, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(128 * 14 * 14, 1),
    ).to(memory_format=last)
    adam_g, adam_d = (
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
        for network in (generator, discriminator)
    )
    loss = nn.BCEWithLogitsLoss()
    real, fake = torch.ones(GAN_BATCH, 1), torch.zeros(GAN_BATCH, 1)
    x = torch.rand(GAN_BATCH, 1, 28, 28) * 2 - 1

    def iteration():
        with torch.no_grad():
            fakes = generator(torch.randn(GAN_BATCH, GAN_NOISE))
        for images, t in ((x, real), (fakes, fake)):
            adam_d.zero_grad()
            loss(discriminator(images), t).backward()
            adam_d.step()
        adam_g.zero_grad()
        loss(discriminator(generator(torch.randn(GAN_BATCH, GAN_NOISE))), real).backward()
        adam_g.step()

    report_gan(iteration)


def convolution(inputs, filters, kernel, stride):
    """A convolution and its normalization."""
    padding = kernel // 2
    return [
        nn.Conv2d(inputs, filters, kernel, stride=stride, padding=padding, bias=False),
        nn.BatchNorm2d(filters),
    ]


class Block(nn.Module):
    def __init__(self, inputs, filters, stride):
        super().__init__()
        self.body = nn.Sequential(
            *convolution(inputs, filters, 3, stride),
            nn.ReLU(inplace=True),
            *convolution(filters, filters, 3, 1),
        )
        self.shortcut = nn.Sequential(*(convolution(inputs, filters, 1, stride) if stride > 1 else []))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.body(x) + self.shortcut(x))


def resnet():
    width = RESNET_STAGES[0][0]
    layers = [*convolution(1, width, 3, 1), nn.ReLU(inplace=True)]
    for stage, (filters, blocks) in enumerate(RESNET_STAGES):
        for block in range(blocks):
            layers.append(Block(width, filters, 2 if stage > 0 and block == 0 else 1))
            width = filters
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)]
    # PyTorch's convolutions are faster with channels last.
    model = nn.Sequential(*layers).to(memory_format=torch.channels_last).train()
    sgd = torch.optim.SGD(model.parameters(), lr=0.01)
    cross_entropy = nn.CrossEntropyLoss()
    x = torch.rand(RESNET_BATCH, 1, 28, 28).to(memory_format=torch.channels_last)
    t = torch.randint(0, 10, (RESNET_BATCH,))

    def train():
        sgd.zero_grad(set_to_none=True)
        cross_entropy(model(x), t).backward()
        sgd.step()

    report_resnet(train)


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
    elif case == "gan":
        gan()
    elif case == "resnet":
        resnet()
    else:
        step(case)


main()
