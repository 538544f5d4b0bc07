//! All integration tests of this crate but the count of allocations, as one program: each generic layer and kernel is
//! compiled once instead of once a file. `.ci/run` checks that no file is missing here.

mod batches;
mod dataset;
mod idx;
mod mnist;
mod standardize;
mod whitening;
mod whole_file;
