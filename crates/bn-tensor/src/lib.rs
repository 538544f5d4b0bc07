//! Matrix products through a BLAS, column means and variances that keep their digits for data with a
//! large mean, and the element-wise kernels that layers need, for `f32` and `f64`.
//!
//! # The design decision
//!
//! **Work is cut by its size, never by the number of threads.** A product is cut into fixed tiles
//! whose inner dimension no thread splits; a reduction into fixed blocks of rows whose partial
//! results are combined in order. So a result has the same bits on 1 thread and on 64, and a
//! training run can be repeated on another machine of the same kind. The threads are those of this
//! crate, and the BLAS computes each tile on the thread that calls it.
//!
//! Every kernel writes to a destination that the caller owns, so that a warm training step allocates
//! nothing. Channels are seen as `(outer, channels, inner)`: a matrix `(N, D)` is
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
//! Without either, matrix products are pure Rust. `parallel` (default): threads.

mod accumulate;
mod blas;
mod channels;
mod contiguous;
mod convolution;
mod dropout_mask;
mod elementwise;
mod error;
mod magnitude;
mod matmul;
mod memory;
pub mod naive;
mod packing;
mod parallel;
mod pool;
mod scalar;
mod simd;
mod squares;
mod window;

pub use blas::{matmul_backend, with_blas};
pub use channels::{
    backward::{channel_combine, channel_sum_and_dot},
    moments::Moments,
    normalize::{ChannelAffine, channel_affine},
    reduce::Scratch,
    sums::channel_sum,
};
pub use contiguous::{in_order, in_order_mut, to_row_major};
pub use convolution::{
    backward::{ConvolutionGradients, ConvolutionScratch, convolve_backward},
    convolve, convolve_then, convolve_transposed, convolve_weights,
    epilogue::Epilogue,
};
pub use dropout_mask::Mask;
pub use elementwise::{
    fill_pieces, map, update, update_with_state, update_with_two_states, zip_map, zip_map3,
};
pub use error::{Error, check_setting};
pub use magnitude::largest_magnitude;
pub use matmul::{by_rows, matmul, matmul_nt, matmul_plus_row, matmul_tn, matmul_tn_largest};
pub use memory::{checked_len, try_resize, try_zeros};
pub use ndarray;
pub use parallel::{enter_pool, join, keep_awake, single_threaded, threads};
pub use pool::Pool;
pub use scalar::Scalar;
pub use squares::sum_of_squares;
pub use window::{Padding, Window, WindowConfig};

/// Runs the README's program as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
