"""Makes the golden files of this folder: networks of PyTorch as ONNX models, with inputs, logits and, for the MLP and
the CNN, the losses and parameters of 20 SGD steps that begin with the exported network.

    pip install torch onnx numpy
    python make_onnx.py

Made with torch 2.15.0 (CPU), onnx 1.23.2 and numpy 2.4.6. Models are exported in evaluation with
`torch.onnx.export(dynamo=False)`, opset 17. `TrainingMode.PRESERVE` keeps the exporter from folding each
BatchNormalization into the convolution before it.

Each NAME.json holds flat lists: `x` (N, D) or (N, C, H, W), `logits` (N, classes) or images (N, C, H, W) of the shape
`output`, and for training the batches `train_x` and `labels` and the `losses`, one for each step. NAME_trained.onnx is
the network afterwards, with its running statistics.
"""

import io
import json
import pathlib

import torch
from torch import nn

HERE = pathlib.Path(__file__).parent


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = None
        if stride != 1 or inputs != outputs:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y = y + (x if self.shortcut is None else self.shortcut(x))
        return torch.relu(y)


def mlp():
    return nn.Sequential(
        nn.Linear(20, 16), nn.BatchNorm1d(16), nn.ReLU(),
        nn.Linear(16, 12), nn.BatchNorm1d(12), nn.ReLU(),
        nn.Linear(12, 5),
    )


def cnn():
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Flatten(), nn.Linear(8 * 2 * 2, 5),
    )


def resnet():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        Residual(8, 8, 1), Residual(8, 12, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 4),
    )


def dcgan():
    return nn.Sequential(
        nn.ConvTranspose2d(10, 12, 4, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
        nn.ConvTranspose2d(12, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.ConvTranspose2d(8, 2, 4, 2, 1), nn.Tanh(),
    )


class ToImage(nn.Module):
    def forward(self, x):
        return x.reshape(-1, 4, 3, 2)


def row_generator():
    """A row that becomes an image with several channels."""
    return nn.Sequential(
        nn.Linear(6, 4 * 3 * 2), nn.BatchNorm1d(4 * 3 * 2), nn.LeakyReLU(0.2), ToImage(),
        nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(4, 2, 3, padding=1), nn.Sigmoid(),
    )


def activations():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.GELU(), nn.Conv2d(4, 4, 1), nn.SiLU(), nn.Conv2d(4, 4, 1), nn.PReLU(4),
        nn.Conv2d(4, 4, 1), nn.ReLU6(), nn.Conv2d(4, 4, 1), nn.ELU(0.5), nn.AvgPool2d(2), nn.InstanceNorm2d(4, affine=True),
        nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 24), nn.LayerNorm(24), nn.Linear(24, 3), nn.LogSoftmax(1),
    )


def settle(network, shape):
    """Gives running statistics and parameters values that are not those of the beginning."""
    network.train()
    for _ in range(5):
        network(torch.randn(16, *shape) * 2 + 0.5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    network.eval()


def export(network, x):
    file = io.BytesIO()
    torch.onnx.export(
        network, (x,), file, dynamo=False, opset_version=17, input_names=["x"], output_names=["logits"],
        dynamic_axes={"x": {0: "batch"}, "logits": {0: "batch"}}, training=torch.onnx.TrainingMode.PRESERVE,
    )
    return file.getvalue()


def flat(tensor):
    return [float(str(value)) for value in tensor.detach().flatten().numpy()]  # the shortest decimals


def train(network, x, steps=20, batch=8, learning_rate=0.05, classes=5):
    network.train()
    xs = (torch.randn(steps * batch, *x.shape[1:]) * 100).round() / 100
    labels = torch.randint(classes, (steps * batch,))
    optimizer = torch.optim.SGD(network.parameters(), learning_rate)
    losses = []
    for step in range(steps):
        rows = slice(step * batch, (step + 1) * batch)
        loss = nn.functional.cross_entropy(network(xs[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    network.eval()
    return {"train_x": flat(xs), "labels": labels.tolist(), "losses": losses}


def main():
    cases = [
        (mlp, (20,), True), (cnn, (2, 8, 8), True), (resnet, (3, 8, 8), False), (dcgan, (10, 1, 1), False),
        (row_generator, (6,), False), (activations, (2, 10, 10), False),
    ]
    for make, shape, trains in cases:
        torch.manual_seed(1)
        network = make()
        settle(network, shape)
        x = torch.randn(4, *shape)
        (HERE / f"{make.__name__}.onnx").write_bytes(export(network, x))
        golden = {"x": flat(x), "logits": flat(network(x)), "output": list(network(x).shape[1:])}
        if trains:
            golden |= train(network, x)
            (HERE / f"{make.__name__}_trained.onnx").write_bytes(export(network, x))
        (HERE / f"{make.__name__}.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
