//! Arrays as the slices that kernels walk.

use bn_tensor::Error;
use ndarray::{ArrayView, ArrayViewMut, Dimension};

/// The elements in memory order, of an array that is contiguous and row-major.
pub(crate) fn in_order<'a, T, D: Dimension>(
    op: &'static str,
    x: &'a ArrayView<'_, T, D>,
) -> Result<&'a [T], Error> {
    x.as_slice().ok_or(Error::NotContiguous { op })
}

/// [`in_order`], to write to.
pub(crate) fn in_order_mut<'a, T, D: Dimension>(
    op: &'static str,
    x: &'a mut ArrayViewMut<'_, T, D>,
) -> Result<&'a mut [T], Error> {
    x.as_slice_mut().ok_or(Error::NotContiguous { op })
}
