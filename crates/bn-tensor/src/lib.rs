//! Matrix products through a BLAS, column means and variances that stay exact for data far from
//! zero, and the element-wise kernels that layers need, for `f32` and `f64`.
//!
//! # The design decision
//!
//! **Work is cut by its size, never by the number of threads.** A product is cut into fixed tiles
//! whose inner dimension no thread splits; a reduction into fixed blocks of rows whose partial
//! results are combined in order. So a result has the same bits on 1 thread and on 64, and a
//! training run can be repeated on another machine of the same kind. Rayon owns the threads, and
//! the BLAS computes each tile on the thread that asks for it.
//!
//! Everything is written to a destination that the caller owns, so that a training step, once
//! warm, allocates nothing. Channels are seen as `(outer, channels, inner)`: a matrix `(N, D)` is
//! `(N, D, 1)`, a channels-last image batch `(N·H·W, C, 1)`, a channels-first one `(N, C, H·W)`.
//!
//! The plain form of each kernel is public in [`naive`]: read it first.
//!
//! ```
//! use bn_tensor::Moments;
//! use ndarray::Array3;
//! // A million values around 10,000: f32 sums of squares would lose the variance entirely.
//! let x = Array3::from_shape_fn((1_000_000, 1, 1), |(i, _, _)| 1e4 + (i % 2) as f32);
//! let variance = Moments::of(x.view())?.variance()?.next().unwrap();
//! assert!((variance - 0.25).abs() < 1e-6);
//! # Ok::<(), bn_tensor::Error>(())
//! ```
//!
//! # Features
//!
//! `openblas` (default): the system's OpenBLAS. `openblas-static`: OpenBLAS built from source.
//! Without either, ndarray's pure-Rust product serves. `parallel` (default): rayon.

mod blas;
mod channels;
mod convolution;
mod elementwise;
mod epilogue;
mod error;
mod gemm;
mod gradient;
mod mask;
mod matmul;
mod moments;
pub mod naive;
mod normalize;
mod par;
mod reduce;
mod row_product;
mod scalar;
mod simd;
mod stream;
mod sums;
mod window;

pub use blas::matmul_backend;
pub use convolution::{
    ConvolutionGradients, ConvolutionScratch, convolve, convolve_backward, convolve_then,
    convolve_transposed, convolve_weights,
};
pub use elementwise::{
    broadcast_row, fill_pieces, map, update, update_with_state, update_with_two_states, zip_map,
};
pub use epilogue::Epilogue;
pub use error::Error;
pub use gradient::{channel_combine, channel_sum_and_dot};
pub use mask::Mask;
pub use matmul::{matmul, matmul_nt, matmul_plus_row, matmul_tn};
pub use moments::Moments;
pub use normalize::{ChannelAffine, channel_affine};
pub use par::{Pool, alone, enter_pool, join, keep_awake, threads};
pub use reduce::Scratch;
pub use scalar::Scalar;
pub use sums::channel_sum;
pub use window::{Padding, Window};

/// Runs the README's program as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
