//! The network that the settings describe.

use super::settings::{NetworkKind, OptimizerKind, Settings};
use crate::error::Error;
use bn_layers::{Conv2dConfig, Init};
use bn_net::{Network, ResNet};

/// For images of this height, width and number of channels; a table has rows of one pixel.
pub(super) fn build(
    settings: &Settings,
    shape: (usize, usize, usize),
    classes: usize,
) -> Result<Network, Error> {
    check(settings, shape)?;
    let decay = match settings.optimizer {
        OptimizerKind::Adamw => 0.0, // the optimizer's own
        _ => settings.weight_decay,
    };
    let (height, width, channels) = shape;
    let builder = match (height, width) {
        (1, 1) => Network::builder(channels),
        _ => Network::builder(shape),
    };
    let mut builder = builder.init(Init::He).weight_decay(decay);
    match settings.network {
        NetworkKind::Mlp => {
            for &size in settings.sizes() {
                builder = match settings.has_batch_norm() {
                    true => builder.affine_without_bias(size).batch_norm(), // beta replaces the bias
                    false => builder.affine(size),
                };
                builder = builder.relu();
                if settings.dropout > 0.0 {
                    builder = builder.dropout(settings.dropout);
                }
            }
        }
        NetworkKind::Cnn => {
            for (i, &filters) in settings.sizes().iter().enumerate() {
                let stride = if i == 0 { 1 } else { 2 };
                let conv = Conv2dConfig::new(filters, 3).stride(stride).same();
                builder = match settings.has_batch_norm() {
                    true => builder.conv2d(conv.without_bias()).batch_norm(),
                    false => builder.conv2d(conv),
                };
                builder = builder.relu();
            }
            if settings.dropout > 0.0 {
                builder = builder.dropout(settings.dropout);
            }
        }
        NetworkKind::Resnet => {
            let stages: Vec<_> = settings
                .sizes()
                .iter()
                .map(|&filters| (filters, 1))
                .collect();
            let net = ResNet {
                zero_init: true,
                ..ResNet::new(shape, &stages, classes)
            };
            return Ok(net.builder().build(settings.seed)?);
        }
    }
    Ok(builder.affine(classes).build(settings.seed)?)
}

fn check(settings: &Settings, (height, width, _): (usize, usize, usize)) -> Result<(), Error> {
    if settings.batch_size == 1 && settings.has_batch_norm() {
        return Err(Error::usage(
            "a batch of one row has no variance for Batch Normalization",
            "give a --batch-size of at least 2, or --no-batch-norm",
        ));
    }
    if settings.network != NetworkKind::Mlp && (height, width) == (1, 1) {
        return Err(Error::usage(
            "convolutions need images, and the data are a table",
            "give the size of the images with --image-shape, or take --network mlp",
        ));
    }
    if settings.network != NetworkKind::Resnet {
        return Ok(());
    }
    let without = match (settings.has_batch_norm(), settings.optimizer) {
        (false, _) => "without Batch Normalization",
        _ if settings.dropout > 0.0 => "with Dropout",
        (_, optimizer) if settings.weight_decay > 0.0 && optimizer != OptimizerKind::Adamw => {
            "with a weight decay that is not adamw's"
        }
        _ => return Ok(()),
    };
    Err(Error::usage(
        format!("there is no resnet {without}"),
        "leave that out, or take --network cnn",
    ))
}

/// As in `mlp 100-100 with Batch Normalization`.
pub(super) fn describe(settings: &Settings) -> String {
    let name = match settings.network {
        NetworkKind::Mlp => "mlp",
        NetworkKind::Cnn => "cnn",
        NetworkKind::Resnet => "resnet",
    };
    let sizes: Vec<String> = settings.sizes().iter().map(ToString::to_string).collect();
    let with = if settings.has_batch_norm() {
        "with"
    } else {
        "without"
    };
    format!("{name} {} {with} Batch Normalization", sizes.join("-"))
}
