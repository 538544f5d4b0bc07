//! All integration tests of this crate but the count of allocations, as one program: each generic layer and kernel is
//! compiled once instead of once a file. `.ci/run` checks that no file is missing here.

mod batches;
mod dataset;
mod every_size;
mod idx;
#[path = "../../bn-tensor/tests/common/memory_limit.rs"]
mod memory_limit;
mod mnist;
mod prelude;
mod standardize;
mod whitening;
