//! A glob import of the crate hides no name of Rust's prelude.

#[allow(unused_imports)]
use bn_tensor::*;

include!("common/prelude_names.rs");
