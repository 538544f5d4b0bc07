//! Batch Normalization and the layers around it: forward and backward, for `f32` and `f64`.
//!
//! # The design decision
//!
//! **A layer owns its parameters; the caller owns the activations.** [`Layer::forward_into`] writes
//! to an array of the caller's, and [`Layer::backward_into`] is handed the same `x` and `y` again.
//! So no layer copies its input, a network can reuse and share buffers, and a training step, once
//! warm, allocates nothing. [`Layer::forward`] and [`Layer::backward`] are the same with fresh
//! arrays, and read like the book.
//!
//! **BatchNormalization sees its input as `(outer, channels, inner)`**, so that one pair of
//! formulas serves dense input, images with their channels first or last, and the book's
//! per-position treatment ([`Layout`]). Its functional form, [`batch_norm_train`],
//! [`batch_norm_eval`] and [`batch_norm_backward`], leaves gamma, beta and the running statistics
//! to the caller; the layer, [`BatchNormalization`], owns them and is built on it.
//!
//! **The mode is given with each call** ([`Mode`]), and evaluation takes `&self`
//! ([`Layer::eval_into`]), so that one network serves many threads.
//!
//! The names are those of *Deep Learning from Scratch*, `common/layers.py`; its way of writing
//! BatchNormalization is in [`naive`].
//!
//! ```
//! use bn_layers::{BatchNormConfig, BatchNormalization, Layer, Mode, Relu};
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

mod activation;
mod affine;
mod avg_pool2d;
mod batch_norm;
mod convolution;
mod dropout;
mod error;
mod gradient_check;
mod identity;
mod init;
mod layer;
mod leaky_relu;
mod max_pool2d;
pub mod naive;
mod order;
mod pointwise;
mod relu;
mod reshape;
mod sigmoid;
mod tanh;
mod upsample2d;

pub use activation::{Activation, Rectifier};
pub use affine::Affine;
pub use avg_pool2d::AvgPool2d;
pub use batch_norm::{
    BatchNormCache, BatchNormConfig, BatchNormalization, Layout, RunningAverage, RunningStats,
    batch_norm_backward, batch_norm_eval, batch_norm_train,
};
pub use bn_tensor::Padding;
pub use convolution::{
    Conv2d, Conv2dConfig, ConvTranspose2d, images_to_channels_first, images_to_channels_last,
    kernel_from_pytorch, kernel_to_pytorch, transposed_kernel_from_pytorch,
    transposed_kernel_to_pytorch,
};
pub use dropout::Dropout;
pub use error::Error;
pub use gradient_check::{Entry, GradientCheck, Objective, ParamReport, Report};
pub use identity::Identity;
pub use init::Init;
pub use layer::{ChannelMap, Kind, Layer, Mode, Param, ParamMut, Shape};
pub use leaky_relu::LeakyRelu;
pub use max_pool2d::MaxPool2d;
pub use pointwise::Pointwise;
pub use relu::Relu;
pub use reshape::Reshape;
pub use sigmoid::Sigmoid;
pub use tanh::Tanh;
pub use upsample2d::Upsample2d;

/// Runs the README's program as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
