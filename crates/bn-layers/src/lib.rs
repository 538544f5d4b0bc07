//! Batch Normalization and the layers around it: forward and backward, for `f32` and `f64`.
//!
//! # The design decision
//!
//! **A layer owns its parameters; the caller owns the activations.** [`Layer::forward_into`] writes to the
//! caller's array, and [`Layer::backward_into`] gets the same `x` and `y` again. So no layer copies its
//! input, a network can reuse and share buffers, and a warm training step allocates nothing.
//! [`LayerExt::forward`] and [`LayerExt::backward`] do the same with checks and new arrays, as in the book.
//!
//! **A layer is small.** [`Layer`] has nine methods, of which three are required. The defaults of the others
//! are always right, at worst slower. The caller of a layer has checked the arrays. An element-wise function
//! is an [`Activation`], in fifteen lines.
//!
//! **A step stands or is undone.** A training pass changes only what it must (the number of draws of a
//! Dropout) and keeps the rest (the statistics of a batch). [`Layer::settle`] then says whether the step
//! stands.
//!
//! **BatchNormalization works on the view `(outer, channels, inner)` of its input**, so that one pair of
//! formulas handles dense input, images with their channels first or last, and the book's per-position
//! statistics ([`Layout`]). Its functional form, [`batch_norm_train`], [`batch_norm_eval`] and
//! [`batch_norm_backward`], leaves gamma, beta and the running statistics to the caller. The layer,
//! [`BatchNormalization`], owns them and is built on it.
//!
//! **The mode is passed with each call** ([`Mode`], in a [`Pass`]), and evaluation takes `&self`
//! ([`Layer::eval_into`]), so that several threads can use one network.
//!
//! The names are those of *Deep Learning from Scratch*, `common/layers.py`; [`naive`] has the book's form of
//! BatchNormalization.
//!
//! ```
//! use bn_layers::{BatchNormConfig, BatchNormalization, LayerExt, Mode, Relu};
//! use ndarray::array;
//! let mut bn = BatchNormalization::new(2, BatchNormConfig::book())?;
//! let x = array![[1.0f32, -4.0], [2.0, 0.0], [3.0, 4.0]];
//! let xn = bn.forward(x.view(), Mode::Train)?;
//! let y = Relu.forward(xn.view(), Mode::Train)?;
//! let dxn = Relu.backward(xn.view(), y.view(), y.view())?; // for the loss Σ y²/2
//! let dx = bn.backward(x.view(), dxn.view())?;
//! assert_eq!(dx.dim(), (3, 2));
//! # Ok::<(), bn_layers::Error>(())
//! ```
//!
//! # Features
//!
//! `openblas` (default), `openblas-static`, `parallel` (default): as in `bn-tensor`. `lapack`:
//! orthogonal initialisation; needs either OpenBLAS feature.

#[cfg(all(
    feature = "lapack",
    not(any(feature = "openblas", feature = "openblas-static"))
))]
compile_error!("the feature `lapack` needs `openblas` or `openblas-static`");

mod activation;
mod affine;
mod batch_norm;
mod convolution;
mod dropout;
mod error;
mod example_norm;
#[doc(hidden)]
pub mod fusion;
mod gradient_check;
mod init;
mod layer;
mod make;
pub mod naive;
mod padding;
mod pass;
mod pooling;
mod reshape;
mod rows;
pub mod settings;
mod shape;
mod shards;
mod spec;
mod state;
mod weights;

pub use activation::{
    Activation, ClassFunction, Elu, Gelu, Identity, LeakyRelu, LogSoftmax, OverClasses, PRelu,
    Relu, Relu6, Sigmoid, Silu, Softmax, Tanh, softmax,
};
pub use affine::Affine;
pub use batch_norm::{
    BatchNormCache, BatchNormConfig, BatchNormalization, Layout, RunningAverage, RunningStats,
    batch_norm_backward, batch_norm_eval, batch_norm_train,
};
pub use bn_tensor::{Moments, Padding, Scalar};
pub use convolution::{
    Conv2d, Conv2dConfig, ConvTranspose2d, images_to_channels_first, images_to_channels_last,
    kernel_from_pytorch, kernel_to_pytorch, transposed_kernel_from_pytorch,
    transposed_kernel_to_pytorch,
};
pub use dropout::Dropout;
pub use error::Error;
pub use example_norm::{ExampleNorm, GroupNorm, InstanceNorm, LayerNorm, NormKind};
pub use gradient_check::{Entry, GradientCheck, Objective, ParamReport, Report};
pub use init::Init;
pub use layer::{Io, Layer, LayerExt, Outcome, Wanted};
pub use ndarray;
pub use pass::{Mode, Pass};
pub use pooling::{
    AvgPool2d, Interpolation, MaxPool2d, Pad2d, PadKind, Pool2dConfig, ReflectPad2d, Resize2d,
    Upsample2d, ZeroPad2d,
};
pub use rand;
pub use reshape::Reshape;
pub use shape::Shape;
pub use shards::{ShardReduction, ShardTree};
pub use spec::LayerSpec;
pub use state::{Param, ParamMut, State, StateMut};

/// Runs the README's program as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
