//! Build, train and run networks with Batch Normalization.
//!
//! # The design decision
//!
//! **A network owns its activations, and a step is a transaction.** The buffers live from step to
//! step, so that once warm a step allocates nothing. A step first computes everything that can go
//! wrong and moves parameters and running statistics last: whatever it refuses, a label out of
//! range or a loss of NaN, the network is as it was before.
//!
//! ```
//! use bn_net::{Network, Sgd, SoftmaxWithLoss};
//! use ndarray::Array2;
//! let mut network = Network::builder(4).affine(8).batch_norm().relu().affine(3).build(42)?;
//! let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1)?);
//! let x = Array2::<f32>::from_shape_fn((6, 4), |(n, d)| ((n * 4 + d) as f32).sin());
//! let labels = [0, 1, 2, 0, 1, 2];
//! let first = network.train_step(x.view(), (&labels[..]).into(), &mut loss, &mut sgd)?;
//! let second = network.train_step(x.view(), (&labels[..]).into(), &mut loss, &mut sgd)?;
//! assert!(second < first);
//! # Ok::<(), bn_net::Error>(())
//! ```

mod batch_norm_conv_net;
mod builder;
mod checkpoint;
mod error;
mod file;
mod gan;
mod history;
mod loss;
mod metrics;
mod multi_layer_net;
mod network;
mod optimizer;
mod schedule;
mod simple_conv_net;
mod trainer;

pub use batch_norm_conv_net::BatchNormConvNet;
pub use builder::NetworkBuilder;
pub use checkpoint::Checkpoint;
pub use error::Error;
pub use gan::{DiscriminatorStep, Gan, GanCallback, GanRecord};
pub use history::{History, Record};
pub use loss::{BinaryCrossEntropy, IdentityWithLoss, Loss, SoftmaxWithLoss, Targets};
pub use metrics::ConfusionMatrix;
pub use multi_layer_net::{HiddenActivation, MultiLayerNet, MultiLayerNetConfig, WeightInitStd};
pub use network::{Network, Workspace};
pub use optimizer::{
    AdaGrad, Adam, AdamW, Momentum, Nesterov, Optimizer, OptimizerState, RmsProp, Sgd,
};
pub use schedule::Schedule;
pub use simple_conv_net::SimpleConvNet;
pub use trainer::{Callback, EarlyStop, Length, Trainer};

/// Runs the README's program as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
