//! Data for training: MNIST, Fashion-MNIST, EMNIST, KMNIST, Kuzushiji-49, QMNIST, the UCI digits, readers of IDX,
//! CSV, NumPy and PNG files, mini-batches, augmentation and whitening.
//!
//! **The key decision: a data set is one matrix and one list of targets.** Every source becomes a
//! [`Dataset`], images as rows `(N, D)` and labels as `usize` (or values `(N, E)`), because that is what
//! the first layer of a network and its loss take; the bytes of the file are dropped after loading.
//! What the book's `load_mnist` chooses by flags is a view or a method here: [`Dataset::images`]
//! is flattened, [`Dataset::images_4d`] is not, [`Dataset::one_hot`] encodes the labels.
//!
//! **Files are checked before they are used.** A header that promises more than its file contains
//! allocates nothing, a download is used only if its SHA-256 is right, and every error names the file and says
//! what to do.
//!
//! **Whatever trains takes a [`BatchSource`]**: [`Batches`] of a data set in memory, [`ShardedBatches`] of
//! one on disk, either of them [`Augmented`], or a source of your own.
//!
//! **Every random choice has a seed**, and the position in the stream of mini-batches is three
//! numbers ([`BatchState`]) that a checkpoint can save. [`RandomState`] draws what NumPy draws after
//! `np.random.seed`.
//!
//! ```
//! use bn_data::{Batches, Digits, Standardize};
//!
//! # fn main() -> Result<(), bn_data::Error> {
//! let (mut train, mut test) = Digits::load()?.into_parts();
//! let standardize = Standardize::fit(train.images())?; // the training set only
//! standardize.apply(train.images_mut())?;
//! standardize.apply(test.images_mut())?;
//!
//! let mut batches = Batches::new(&train, 100, 42)?;
//! while let Some(batch) = batches.next_batch() {
//!     assert_eq!(batch.images.nrows(), batch.labels().len()); // (B, 64) and B
//! }
//! # Ok(()) }
//! ```
#![deny(missing_docs)]
#![forbid(unsafe_code)]

// The README's example has to compile.
#[cfg(all(doctest, feature = "download"))]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(all(
    feature = "lapack",
    not(any(feature = "openblas", feature = "openblas-static"))
))]
compile_error!("the feature `lapack` needs `openblas` or `openblas-static`");

mod augmentation;
mod augmented;
mod batch_source;
mod batches;
mod classes;
#[cfg(feature = "csv")]
mod csv_reader;
mod dataset;
mod digits;
#[cfg(feature = "download")]
mod download;
mod emnist;
mod error;
mod fashion_mnist;
mod framing;
mod idx;
#[cfg(feature = "images")]
mod image_folder;
mod kmnist;
#[cfg(feature = "npz")]
mod kuzushiji_49;
mod limit;
mod mnist;
mod mnist_format;
#[cfg(feature = "npz")]
mod npy;
mod payload;
mod preprocessing;
mod qmnist;
mod random_state;
mod shards;
mod source;
mod split;
mod standardize;
mod statistics;
mod targets;
mod whitening;
mod whole_file;

pub use augmentation::Augmentation;
pub use augmented::Augmented;
pub use batch_source::{Batch, BatchSource, BatchState};
pub use batches::{BatchPart, Batches, LastBatch, Sampling};
#[cfg(feature = "csv")]
pub use csv_reader::{Column, CsvReader};
pub use dataset::Dataset;
pub use digits::Digits;
#[cfg(feature = "download")]
pub use download::Download;
pub use emnist::{Emnist, EmnistSplit};
pub use error::Error;
pub use fashion_mnist::FashionMnist;
pub use framing::{Framed, Framing};
pub use idx::{Idx, IdxReader};
#[cfg(feature = "images")]
pub use image_folder::{ImageFolder, ImageFolderReader};
pub use kmnist::Kmnist;
#[cfg(feature = "npz")]
pub use kuzushiji_49::Kuzushiji49;
pub use mnist::Mnist;
pub use mnist_format::LoadOptions;
pub use ndarray;
#[cfg(feature = "npz")]
pub use npy::{Npy, NpyReader, Npz};
pub use preprocessing::Preprocessing;
pub use qmnist::{Qmnist, QmnistLabel};
pub use random_state::RandomState;
pub use shards::{ShardWriter, ShardedBatches, write_shards};
pub use source::{DATA_DIR_VARIABLE, data_dir};
pub use standardize::Standardize;
pub use targets::Targets;
pub use whitening::{Whitening, WhiteningKind};
pub use whole_file::{read_whole, write_whole};
