use crate::{error::Error, form::Form, plan::Plan, python};
use bn_layers::Scalar;
use bn_net::Network;

/// The network as the source of a Python module, which defines `model`, an `nn.Sequential`.
///
/// It needs `torch` only, and defines the modules that PyTorch lacks, such as residual blocks. Its state_dict has the
/// names and shapes that [`load`](crate::load) and [`save`](crate::save) use. Images are `(N, C, H, W)`; flat rows that
/// become images keep the network's order, H, W, C, unless an Affine before them can be reordered.
///
/// The module computes the same in evaluation. In training, Dropout draws other masks, and Batch Normalization has
/// PyTorch's running averages; a comment says where these differ.
///
/// ```
/// use bn_net::Network;
/// let network = Network::builder((8, 8, 3))
///     .conv2d(bn_layers::Conv2dConfig::new(4, 3).same()).relu()
///     .max_pool2d(2)
///     .affine(10)
///     .build(1)?;
/// let source = bn_torch::sequential(&network)?;
/// assert!(source.ends_with("\
/// model = nn.Sequential(
///     nn.Conv2d(3, 4, 3, padding=1),
///     nn.ReLU(),
///     nn.MaxPool2d(2, 2),
///     nn.Flatten(),
///     nn.Linear(64, 10),
/// )
/// "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::NoModule`] for a layer that PyTorch has no module for: an average pool that is dilated, or has padding that is
/// uneven and not counted; padding of a pool in ceil mode that is uneven; resizing that PyTorch rounds to other pixels; a
/// layer from another crate. [`Error::Network`] for a layer that does not describe itself.
pub fn sequential<T: Scalar>(network: &Network<T>) -> Result<String, Error> {
    let (plan, spec) = Plan::of(network)?;
    let mut source = "import torch\nfrom torch import nn\n".to_owned();
    for class in &plan.classes {
        source += "\n\n";
        source += class.source();
    }
    source += "\n\n";
    source += &match Form::of(spec.input) {
        Form::Image((height, width, channels)) => {
            format!("# The input is (N, {channels}, {height}, {width}).\n")
        }
        form => format!("# The input is (N, {}).\n", form.size()),
    };
    for note in &plan.notes {
        source += &format!("# {note}\n");
    }
    source += &format!("model = {}\n", python::sequential(&plan.modules));
    Ok(source)
}
