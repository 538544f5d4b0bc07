//! Train networks with Batch Normalization on the CPU.
//!
//! # The design decision
//!
//! **Four crates in strict layers, and this thin facade over them.** A crate depends only on lower
//! ones, so you can depend on just the one that you need.
//!
//! | module | crate | what it has |
//! |---|---|---|
//! | [`tensor`] | `bn-tensor` | matrix products through a BLAS, stable column means and variances, element-wise kernels |
//! | [`layers`] | `bn-layers` | BatchNormalization and the layers around it, initialisation, a gradient check |
//! | [`net`] | `bn-net` | networks, losses, optimizers, schedules, a trainer |
//! | [`data`] | `bn-data` | MNIST, Fashion-MNIST, embedded digits, IDX files, mini-batches |
//!
//! The names are those of the book *Deep Learning from Scratch*.
//!
//! ```
//! use batchnorm::{Digits, Network, Sgd, SoftmaxWithLoss, Trainer};
//!
//! let (train, test) = Digits::load()?.into_parts();
//! let mut network = Network::builder(64)
//!     .affine(50).batch_norm().relu()
//!     .affine(10)
//!     .build(42)?;
//! let history = Trainer::new(50).epochs(5).seed(42).fit(
//!     &mut network,
//!     &mut SoftmaxWithLoss::new(),
//!     &mut Sgd::new(0.1)?,
//!     &train,
//!     Some(&test),
//! )?;
//! assert!(history.last().unwrap().test_accuracy().unwrap() > 0.85);
//! # Ok::<(), batchnorm::Error>(())
//! ```
//!
//! [`ndarray`] and [`rand`] are re-exported, because their types are part of the API. [`Error`] is
//! that of `bn-net`; the errors of the other crates convert into it by `?`.
//!
//! # Features
//!
//! | feature | default | what it does |
//! |---|---|---|
//! | `openblas` | yes | the system's OpenBLAS for matrix products |
//! | `lapack` | yes | orthogonal initialisation, PCA and ZCA whitening |
//! | `parallel` | yes | threads |
//! | `download` | yes | `load_or_download` of MNIST and Fashion-MNIST over HTTPS |
//! | `progress` | yes | the progress of the trainer on standard error |
//! | `csv` | yes | `History::write_csv`, `CsvReader` |
//! | `png` | yes | PNG pictures of the examples; no effect on the library |
//! | `images` | no | `ImageFolder`: PNG images in folders by class |
//! | `npz` | no | NumPy's files: `Npy`, `Dataset::from_npz`, the parameters of the book's and of Keras' networks |
//! | `tracing` | no | events of the trainer for the `tracing` crate |
//! | `openblas-static` | no | OpenBLAS built from source, instead of `openblas` |
//!
//! Without any of them the library is pure Rust and single-threaded.

pub use bn_data as data;
pub use bn_layers as layers;
pub use bn_net as net;
pub use bn_tensor as tensor;
pub use ndarray;
pub use rand;

pub use bn_data::{
    Augmentation, Augmented, BatchSource, Batches, Dataset, Digits, Emnist, EmnistSplit,
    FashionMnist, Kmnist, LastBatch, Mnist, Qmnist, RandomState, Sampling, ShardedBatches,
};
pub use bn_layers::{
    Activation, Affine, AvgPool2d, BatchNormConfig, BatchNormalization, Conv2d, Conv2dConfig,
    ConvTranspose2d, Dropout, Elu, Gelu, GradientCheck, GroupNorm, Identity, Init, InstanceNorm,
    Interpolation, Io, Layer, LayerExt, LayerNorm, LeakyRelu, LogSoftmax, MaxPool2d, Mode, Outcome,
    PRelu, Padding, Param, ParamMut, Pass, Pool2dConfig, ReflectPad2d, Relu, Relu6, Reshape,
    Resize2d, Shape, Sigmoid, Silu, Softmax, State, StateMut, Tanh, Upsample2d, Wanted, ZeroPad2d,
};
pub use bn_net::{
    Accumulator, Accuracy, AdaGrad, Adam, AdamW, Auc, Average, Averaging, BatchNormConvNet,
    BinaryAccuracy, BinaryCrossEntropy, Callback, Checkpoint, Clip, ConfusionMatrix, EarlyStop,
    Error, F1, Gan, History, Huber, IdentityWithLoss, Loss, LrFinder, Mae, MeanAbsoluteError,
    MeanSquaredError, Metric, Model, Momentum, Monitor, Mse, MultiLayerNet, MultiLayerNetConfig,
    Nesterov, Network, NetworkBuilder, NetworkSpec, Optimizer, ParamGroup, ParamGroups, Precision,
    R2Score, Recall, Record, ReduceOnPlateau, Reduction, ResNet, RmsProp, Rmse, RocCurve, Schedule,
    Sgd, SimpleConvNet, SoftmaxWithLoss, Targets, TopK, Trainer, Training, roc_curve,
};
pub use bn_tensor::{Moments, Pool, Scalar};

/// Runs the README's programs as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Runs the programs of the page for those who come from other frameworks as tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/coming_from.md")]
struct ComingFrom;
