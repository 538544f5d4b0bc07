//! All integration tests of this crate except `allocations`, as one program, so that each generic layer
//! and kernel is compiled once instead of once per file. `.ci/run` checks that no file is missing here.

mod augmented;
mod batch_source;
mod batches;
mod classes;
mod dataset;
mod every_size;
mod idx;
#[path = "../../bn-tensor/tests/common/memory_limit.rs"]
mod memory_limit;
mod mnist;
mod prelude;
mod standardize;
mod values;
mod whitening;
mod whole_file;
