//! The source of modules. `runtime` runs it in PyTorch.

use bn_layers::BatchNormConfig;
use bn_net::Network;
use bn_torch::sequential;

#[test]
fn a_residual_network_defines_its_class() {
    let b = Network::builder(4).affine(4).batch_norm().relu();
    let b = b.residual(|b| b.affine(3).tanh().affine_without_bias(4));
    let network = b.build(1).unwrap();
    assert_eq!(
        sequential(&network).unwrap(),
        r#"import torch
from torch import nn


class Residual(nn.Module):
    """body(x) + shortcut(x), or body(x) + x."""

    def __init__(self, body, shortcut=None):
        super().__init__()
        self.body = body
        self.shortcut = nn.Identity() if shortcut is None else shortcut

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


# The input is (N, 4).
# In training, PyTorch averages the unbiased variance of each batch.
# In training, PyTorch does not correct the bias of the running averages.
model = nn.Sequential(
    nn.Linear(4, 4),
    nn.BatchNorm1d(4, eps=1e-6, momentum=0.1),
    nn.ReLU(),
    Residual(
        nn.Sequential(
            nn.Linear(4, 3),
            nn.Tanh(),
            nn.Linear(3, 4, bias=False),
        ),
    ),
)
"#
    );
}

#[test]
fn batch_normalization_has_the_momentum_of_pytorch() {
    for (config, arguments, notes) in [
        (BatchNormConfig::pytorch(), "eps=1e-5, momentum=0.1", 0),
        (BatchNormConfig::paper(), "eps=1e-5, momentum=None", 0),
        (BatchNormConfig::book(), "eps=1e-6, momentum=0.1", 1),
        (BatchNormConfig::keras(), "eps=0.001, momentum=0.01", 1),
        (
            BatchNormConfig::bias_corrected(),
            "eps=1e-6, momentum=0.1",
            2,
        ),
    ] {
        let b = Network::builder(4).batch_norm_with(config);
        let source = sequential(&b.build(1).unwrap()).unwrap();
        let expected = format!("    nn.BatchNorm1d(4, {arguments}),\n");
        assert!(source.contains(&expected), "{source}");
        assert_eq!(source.matches("# In training").count(), notes, "{source}");
    }
}
