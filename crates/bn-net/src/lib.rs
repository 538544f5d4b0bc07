//! Build, train and run networks with Batch Normalization.
//!
//! # The design decision
//!
//! **A network owns its activations, and a step is a transaction.** The buffers are kept from step to step,
//! so a warm step allocates nothing. A step first computes everything that can fail, and changes parameters
//! and running statistics last. If it fails, because of a label out of range, a gradient that is not finite
//! or an update that overflows, the network and the optimizer are unchanged, bit by bit.
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

mod builder;
mod error;
mod file;
mod gan;
mod loss;
mod metric;
mod model;
mod network;
mod optimizer;
mod schedule;
mod targets;
mod trainer;

pub use bn_tensor::Scalar;
pub use builder::{Branches, NetworkBuilder};
pub use error::Error;
pub use file::{Checkpoint, Model};
pub use gan::{DiscriminatorStep, Gan, GanCallback, GanRecord};
pub use loss::{
    BinaryCrossEntropy, DifferenceFunction, DifferenceLoss, Huber, IdentityWithLoss, Loss,
    MeanAbsoluteError, MeanSquaredError, Reduction, SoftmaxWithLoss, Targets,
};
pub use metric::{
    Accuracy, Auc, Average, BinaryAccuracy, ClassScore, ConfusionMatrix, ErrorFunction, F1, Mae,
    MeanError, Metric, Mse, Precision, R2Score, Recall, Rmse, RocCurve, ScoreFunction, TopK,
    roc_curve,
};
pub use model::{
    BatchNormConvNet, HiddenActivation, MultiLayerNet, MultiLayerNetConfig, ResNet, SimpleConvNet,
    WeightInitStd,
};
pub use ndarray;
pub use network::{
    Accumulator, LayerSummary, NamedSpec, Network, NetworkSpec, ResidualSpec, ShardGradients,
    Summary, WeightedLoss, Workspace,
};
pub use optimizer::{
    AdaGrad, Adam, AdamW, Clip, Gradients, Momentum, Nesterov, Optimizer, OptimizerSpec,
    OptimizerState, ParamGroup, ParamGroups, RmsProp, Sgd, gradient_norm,
};
pub use schedule::{Schedule, ScheduleFunction};
pub use trainer::{
    Averaging, Callback, EarlyStop, History, Length, LrFinder, LrPoint, MetricRecord, Monitor,
    Record, ReduceOnPlateau, Strategy, Trainer, Training, WeightAverage,
};

/// Runs the README's program as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
