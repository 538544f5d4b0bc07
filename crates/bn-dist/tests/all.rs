//! All integration tests of this crate as one program. `.ci/run` checks that no file is missing here.

mod common;
mod compare;
mod differ;
mod faults;
mod same_bits;
mod training;
