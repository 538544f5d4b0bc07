//! The packing buffers of a thread.

use super::{
    blocks::{BLOCK_M, block_columns, block_depth},
    pack::with_alignment,
};
use crate::scalar::Scalar;
use std::cell::RefCell;

thread_local! {
    pub(super) static BUFFERS_F32: RefCell<Buffers<f32>> = RefCell::new(Buffers::new());
    pub(super) static BUFFERS_F64: RefCell<Buffers<f64>> = RefCell::new(Buffers::new());
}

/// Memory for one block of each side. It is large enough for every product from the start, so that no
/// later product allocates; the system provides the memory when it is first touched.
#[derive(Debug)]
pub(super) struct Buffers<T> {
    pub(super) a: Vec<T>,
    pub(super) b: Vec<T>,
}

impl<T: Scalar> Buffers<T> {
    pub(super) fn new() -> Self {
        let (depth, columns) = (block_depth::<T>(), block_columns::<T>());
        let rows = BLOCK_M + 12; // the last panel's
        Self {
            a: vec![T::zero(); with_alignment::<T>(rows * depth)],
            b: vec![T::zero(); with_alignment::<T>(columns * depth)],
        }
    }
}
