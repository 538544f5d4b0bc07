//! All integration tests of this crate, as one program: each generic layer and kernel is
//! compiled once instead of once a file. `.ci/run` checks that no file is missing here.

mod common;
mod convolution;
mod elementwise;
mod fork;
mod kernels;
mod moments;
mod openblas;
mod threads;
