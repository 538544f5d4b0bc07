//! Networks with Batch Normalization from and to the files of [ONNX](https://onnx.ai), which PyTorch, Keras and many
//! runtimes read or write.
//!
//! # The design decision
//!
//! **A model becomes an ordinary network, and its arrays get the library's layouts.** Kernels are transposed, and the
//! weights after a flattened image are reordered from channels first to channels last, once, when the file is read. So
//! an imported network is as fast as any other, can be trained further, and has no layers that only move values. Export
//! does the reverse, so that the graph is the one that a user of PyTorch knows.
//!
//! ```
//! use bn_net::Network;
//! let network = Network::builder((8, 8, 1))
//!     .conv2d(bn_layers::Conv2dConfig::new(4, 3).same()).batch_norm().relu()
//!     .max_pool2d(2)
//!     .affine(10)
//!     .build(42)?;
//! let bytes = bn_onnx::to_bytes(&network)?;
//! let again = bn_onnx::from_bytes(&bytes)?;
//! assert_eq!(bn_onnx::to_bytes(&again)?, bytes);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! `openblas` (default), `openblas-static`, `parallel` (default), `lapack`: as in `bn-net`.

mod error;
mod export;
mod import;
mod permute;
mod proto;
mod settings;

pub use error::Error;
pub use export::{save, to_bytes};
pub use import::{from_bytes, load};

/// Runs the README's program as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
