//! All integration tests of this crate except `allocations`, as one program, so that each generic layer
//! and kernel is compiled once instead of once per file. `.ci/run` checks that no file is missing here.

mod augmented;
mod batch_source;
mod batches;
mod classes;
#[cfg(feature = "csv")]
mod csv;
mod dataset;
mod emnist;
mod every_size;
mod framing;
mod idx;
#[cfg(feature = "images")]
mod image_folder;
#[path = "../../bn-tensor/tests/common/memory_limit.rs"]
mod memory_limit;
mod mnist;
#[cfg(feature = "npz")]
mod npy;
mod prelude;
mod preprocessing;
mod qmnist;
mod random_state;
mod shards;
mod standardize;
mod values;
mod whitening;
mod whole_file;
