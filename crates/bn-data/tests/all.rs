//! All integration tests of this crate except `allocations`, as one program, so that each generic layer
//! and kernel is compiled once instead of once per file. `.ci/run` checks that no file is missing here.

mod batches;
mod dataset;
mod idx;
mod mnist;
mod standardize;
mod whitening;
mod whole_file;
