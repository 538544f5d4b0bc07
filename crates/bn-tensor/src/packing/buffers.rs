//! The packing buffers of a thread.

use super::blocks::{BLOCK_M, block_columns, block_depth};
use crate::scalar::Scalar;
use std::cell::RefCell;

thread_local! {
    pub(crate) static BUFFERS_F32: RefCell<Buffers<f32>> = RefCell::new(Buffers::new());
    pub(crate) static BUFFERS_F64: RefCell<Buffers<f64>> = RefCell::new(Buffers::new());
}

/// Bytes of a cache line: a vector that crosses two takes two loads.
const LINE: usize = 64;

/// Memory for one block of each side. It is large enough for every product from the start, so that no
/// later product allocates; the system provides the memory when it is first touched.
#[derive(Debug)]
pub(crate) struct Buffers<T> {
    pub(crate) a: Vec<T>,
    pub(crate) b: Vec<T>,
}

impl<T: Scalar> Buffers<T> {
    pub(crate) fn new() -> Self {
        let (depth, columns) = (block_depth::<T>(), block_columns::<T>());
        let rows = BLOCK_M + 12; // the last panel's
        Self {
            a: vec![T::zero(); with_alignment::<T>(rows * depth)],
            b: vec![T::zero(); with_alignment::<T>(columns * depth)],
        }
    }
}

/// Allocates the buffers of this thread for both scalar types, so that no product does.
#[cfg(feature = "parallel")]
pub(crate) fn allocate() {
    BUFFERS_F32.with_borrow(|_| ());
    BUFFERS_F64.with_borrow(|_| ());
}

/// The length of a buffer in which `len` values can start at a cache line.
pub(crate) const fn with_alignment<T>(len: usize) -> usize {
    len.saturating_add(LINE / size_of::<T>())
}

/// `len` values of the buffer, from its first cache line on.
pub(crate) fn aligned<T>(buffer: &mut [T], len: usize) -> &mut [T] {
    let start = buffer.as_ptr().align_offset(LINE).min(buffer.len() - len);
    &mut buffer[start..start + len]
}
