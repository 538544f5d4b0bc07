//! A glob import of the crate hides no name of Rust's prelude.

#[allow(unused_imports)]
use bn_data::*;

include!("../../bn-tensor/tests/common/prelude_names.rs");
