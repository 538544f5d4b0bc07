//! All integration tests of this crate, as one program, so that each generic layer and kernel
//! is compiled once instead of once per file. `.ci/run` checks that no file is missing here.

mod by_rows;
mod common;
mod convolution;
mod elementwise;
mod every_size;
mod fork;
mod kernels;
mod moments;
mod openblas;
mod prelude;
mod threads;
mod window;
