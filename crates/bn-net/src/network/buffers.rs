//! Buffers as matrices, and the buffers of an evaluation.

use crate::error::Error;
use bn_tensor::{Scalar, checked_len, try_resize};
use ndarray::{ArrayView2, ArrayViewMut2};

/// The name of the buffers in errors.
pub(super) const ACTIVATIONS: &str = "the activations of a network";

/// The buffers in which one thread evaluates layers.
#[derive(Debug, Clone, Default)]
pub(super) struct Share<T> {
    pub(super) a: Vec<T>, // the outputs of a layer for a chunk of rows
    pub(super) b: Vec<T>, // and of the one after it
    pub(super) scratch: Vec<T>,
    pub(super) inner: Option<Box<Inner<T>>>, // once a layer has needed them
    pub(super) by_rows: bool, // whether a row's bits must not depend on the rows beside it
}

impl<T: Scalar> Share<T> {
    pub(super) fn new(by_rows: bool) -> Self {
        Self {
            by_rows,
            ..Self::default()
        }
    }
}

/// The buffers in which a layer evaluates the networks inside it.
#[derive(Debug, Clone, Default)]
pub(super) struct Inner<T> {
    pub(super) outputs: [Vec<T>; 2], // of a body and a shortcut, or of one branch after the other
    pub(super) share: Share<T>,
}

/// Makes a buffer long enough for `n` rows of `width` values. It never becomes shorter, because growing
/// fills it with zeros: that took a fiftieth of a step when two buffers were swapped between layers of
/// different widths.
pub(super) fn grow<T: Scalar>(buffer: &mut Vec<T>, n: usize, width: usize) -> Result<(), Error> {
    let shape = [n, width];
    if buffer.len() < checked_len::<T>(ACTIVATIONS, &shape)? {
        try_resize(ACTIVATIONS, buffer, &shape)?;
    }
    Ok(())
}

/// The first `n·width` values.
pub(super) fn matrix<T>(buffer: &[T], n: usize, width: usize) -> Result<ArrayView2<'_, T>, Error> {
    let values = &buffer[..buffer.len().min(n.saturating_mul(width))];
    ArrayView2::from_shape((n, width), values).map_err(|_| mismatch((n, width), buffer.len()))
}

/// [`matrix`], mutable.
pub(super) fn matrix_mut<T>(
    buffer: &mut [T],
    n: usize,
    width: usize,
) -> Result<ArrayViewMut2<'_, T>, Error> {
    let len = buffer.len();
    let values = &mut buffer[..len.min(n.saturating_mul(width))];
    ArrayViewMut2::from_shape((n, width), values).map_err(|_| mismatch((n, width), len))
}

fn mismatch((n, width): (usize, usize), len: usize) -> Error {
    bn_tensor::Error::shape("Network: no forward pass of this size", &[n, width], &[len]).into()
}
