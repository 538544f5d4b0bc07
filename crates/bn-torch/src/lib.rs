//! Networks with Batch Normalization from and to the `state_dict`s of [PyTorch](https://pytorch.org), in the safetensors
//! format, and the `nn.Sequential` that they fit.
//!
//! # The design decision
//!
//! **One walk over the network's description finds its modules and the place of each array.** The text of the modules,
//! the names in the state_dict and the order of each array's axes come from the same code, so they cannot disagree. An
//! order is a permutation of axes, which serves reading and writing: a kernel has four axes, and the columns of an
//! Affine after an image have three.
//!
//! ```
//! use bn_net::Network;
//! let network = Network::builder((8, 8, 1))
//!     .conv2d(bn_layers::Conv2dConfig::new(4, 3)).batch_norm().relu()
//!     .affine(10)
//!     .build(42)?;
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("model.safetensors");
//! bn_torch::save(&network, &path)?;
//! let mut again: Network = network.spec()?.build()?;
//! bn_torch::load(&path, &mut again)?;
//! assert_eq!(bn_torch::to_bytes(&again)?, std::fs::read(&path)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! `openblas` (default), `openblas-static`, `parallel` (default), `lapack`: as in `bn-net`.

mod chain;
mod error;
mod form;
mod images;
mod layers;
mod load;
mod plan;
mod python;
mod save;
mod sequential;

pub use error::{Error, Fault};
pub use load::{from_bytes, from_bytes_renamed, load, load_renamed};
pub use save::{save, to_bytes};
pub use sequential::sequential;

/// Runs the README's program as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
