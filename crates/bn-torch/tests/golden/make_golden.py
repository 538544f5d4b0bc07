"""Makes the golden files of this folder: state_dicts of PyTorch with inputs, logits and 20 SGD steps.

    pip install torch safetensors numpy
    python make_golden.py

Made with torch 2.15.0 (CPU), safetensors 0.8.0 and numpy 2.4.6.

NAME.safetensors is `save_file(model.state_dict())`. NAME.json holds flat lists: `x` (N, D) or (N, C, H, W) and `logits`
(N, classes) or images (N, C, H, W), in evaluation; also the batches `train_x` and `labels`, or `images` (N, C, H, W) of
the generator, and the `losses`, one for each step of a training from there. NAME_trained.safetensors is the state_dict
afterwards.

mlp_f16, mlp_bf16 and mlp_f64 are the MLP in other types, with the logits of the rounded parameters, computed in F64.
resnet_named is the residual network with names like torchvision's.
"""

import copy
import json
import pathlib

import torch
from safetensors.torch import save_file
from torch import nn

HERE = pathlib.Path(__file__).parent


class Residual(nn.Module):
    def __init__(self, body, shortcut=None):
        super().__init__()
        self.body = body
        self.shortcut = nn.Identity() if shortcut is None else shortcut

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


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


def block(inputs, outputs, stride):
    body = nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs),
    )
    if stride == 1 and inputs == outputs:
        return Residual(body)
    return Residual(body, nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)))


def resnet():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        block(8, 8, 1), nn.ReLU(), block(8, 12, 2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5),
    )


def dcgan():
    return nn.Sequential(
        nn.Linear(10, 12 * 2 * 3), nn.BatchNorm1d(12 * 2 * 3), nn.ReLU(), nn.Unflatten(1, (12, 2, 3)),
        nn.ConvTranspose2d(12, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.ConvTranspose2d(8, 2, 4, 2, 1), nn.Tanh(),
    )


NAMES = {
    "0": "conv1", "1": "bn1", "9": "fc",
    "3.body.0": "layer1.0.conv1", "3.body.1": "layer1.0.bn1", "3.body.3": "layer1.0.conv2", "3.body.4": "layer1.0.bn2",
    "5.body.0": "layer2.0.conv1", "5.body.1": "layer2.0.bn1", "5.body.3": "layer2.0.conv2", "5.body.4": "layer2.0.bn2",
    "5.shortcut.0": "layer2.0.downsample.0", "5.shortcut.1": "layer2.0.downsample.1",
}


def renamed(state):
    names = [name.rsplit(".", 1) for name in state]
    return {f"{NAMES[module]}.{tensor}": state[f"{module}.{tensor}"] for module, tensor in names}


def settle(network, shape):
    """Gives running statistics and parameters values that are not those of the beginning."""
    network.train()
    for _ in range(5):
        network(torch.randn(16, *shape) * 2 + 0.5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    network.eval()


def flat(tensor):
    return [float(str(value)) for value in tensor.detach().flatten().numpy()]  # the shortest decimals


def losses(network, xs, targets, criterion, learning_rate, batch):
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), learning_rate)
    losses = []
    for x, target in zip(xs.split(batch), targets.split(batch)):
        loss = criterion(network(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def train(network, x, steps=20, batch=8, classes=5):
    """Steps of SGD: classifiers on labels, a generator on images."""
    decimals = lambda tensor: (tensor * 100).round() / 100
    xs = decimals(torch.randn(steps * batch, *x.shape[1:]))
    y = network(xs[:1])
    is_classifier = y.dim() == 2
    if is_classifier:
        targets, criterion, learning_rate = torch.randint(classes, (steps * batch,)), nn.CrossEntropyLoss(), 0.05
    else:
        targets = decimals(2 * torch.rand(steps * batch, *y.shape[1:]) - 1)
        criterion, learning_rate = nn.MSELoss(), 1.0
    doubled = copy.deepcopy(network).double()
    same = targets if is_classifier else targets.double()
    of_f32 = losses(network, xs, targets, criterion, learning_rate, batch)
    of_f64 = losses(doubled, xs.double(), same, criterion, learning_rate, batch)
    # Otherwise rounding decides, for example where a channel is constant in a batch.
    assert all(abs(a - b) < 2e-5 for a, b in zip(of_f32, of_f64)), "the training is ill-conditioned"
    golden = {"labels": targets.tolist()} if is_classifier else {"images": flat(targets)}
    return {"train_x": flat(xs), **golden, "losses": of_f32}


def write(name, state, golden):
    save_file(state, HERE / f"{name}.safetensors")
    (HERE / f"{name}.json").write_text(json.dumps(golden) + "\n")


def main():
    for make, shape in [(mlp, (20,)), (cnn, (2, 8, 8)), (resnet, (3, 8, 8)), (dcgan, (10,))]:
        torch.manual_seed(1)
        network, name = make(), make.__name__
        settle(network, shape)
        x = torch.randn(4, *shape)
        golden = {"x": flat(x), "logits": flat(network(x))}
        state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        if make is mlp:
            for dtype, suffix in [(torch.float16, "f16"), (torch.bfloat16, "bf16"), (torch.float64, "f64")]:
                rounded = mlp().to(dtype)
                rounded.load_state_dict(state)
                logits = rounded.double().eval()(x.double())
                write(f"mlp_{suffix}", rounded.to(dtype).state_dict(), {"x": flat(x), "logits": flat(logits)})
        if make is resnet:
            save_file(renamed(state), HERE / "resnet_named.safetensors")
        golden |= train(network, x)
        save_file(network.state_dict(), HERE / f"{name}_trained.safetensors")
        write(name, state, golden)


if __name__ == "__main__":
    main()
