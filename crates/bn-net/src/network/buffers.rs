//! Buffers as matrices.

use crate::error::Error;
use bn_tensor::Scalar;
use ndarray::{ArrayView2, ArrayViewMut2};

/// Makes a buffer long enough. It never becomes shorter: what is grown is filled with zeros, and
/// that took a fiftieth of a step when two buffers were swapped between layers of different widths.
pub(super) fn grow<T: Scalar>(buffer: &mut Vec<T>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, T::zero());
    }
}

/// The first `n·width` values.
pub(super) fn matrix<T>(buffer: &[T], n: usize, width: usize) -> Result<ArrayView2<'_, T>, Error> {
    let values = buffer.get(..n * width).unwrap_or(buffer);
    ArrayView2::from_shape((n, width), values).map_err(|_| mismatch((n, width), buffer.len()))
}

/// [`matrix`], to write to.
pub(super) fn matrix_mut<T>(
    buffer: &mut [T],
    n: usize,
    width: usize,
) -> Result<ArrayViewMut2<'_, T>, Error> {
    let len = buffer.len();
    let values = &mut buffer[..len.min(n * width)];
    ArrayViewMut2::from_shape((n, width), values).map_err(|_| mismatch((n, width), len))
}

fn mismatch((n, width): (usize, usize), len: usize) -> Error {
    bn_tensor::Error::shape("Network: no forward pass of this size", &[n, width], &[len]).into()
}
