//! Arrays as the slices that the kernels read and write.

use crate::{error::Error, memory::try_zeros};
use bytemuck::Zeroable;
use ndarray::{ArrayView, ArrayViewMut, CowArray, Dimension};

/// The elements of `x` in row-major order, without a copy; `op` names the caller in the error.
///
/// ```
/// use bn_tensor::{Error, in_order};
/// use ndarray::array;
/// let x = array![[1.0, 2.0], [3.0, 4.0]];
/// assert_eq!(in_order("sum", &x.view())?, [1.0, 2.0, 3.0, 4.0]);
/// assert_eq!(in_order("sum", &x.t()), Err(Error::NotContiguous { op: "sum" }));
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
/// [`Error::NotContiguous`] if the elements do not lie in memory in row-major order without gaps.
#[inline]
pub fn in_order<'a, T, D: Dimension>(
    op: &'static str,
    x: &'a ArrayView<'_, T, D>,
) -> Result<&'a [T], Error> {
    x.as_slice().ok_or(Error::NotContiguous { op })
}

/// The elements of `x` in row-major order, mutable; see [`in_order`].
///
/// ```
/// use bn_tensor::in_order_mut;
/// use ndarray::Array3;
/// let mut x = Array3::<f32>::zeros((2, 1, 3));
/// in_order_mut("fill", &mut x.view_mut())?[3] = 7.0;
/// assert_eq!(x[[1, 0, 0]], 7.0);
/// # Ok::<(), bn_tensor::Error>(())
/// ```
///
/// # Errors
/// [`Error::NotContiguous`] if the elements do not lie in memory in row-major order without gaps.
#[inline]
pub fn in_order_mut<'a, T, D: Dimension>(
    op: &'static str,
    x: &'a mut ArrayViewMut<'_, T, D>,
) -> Result<&'a mut [T], Error> {
    x.as_slice_mut().ok_or(Error::NotContiguous { op })
}

/// `x` in row-major order: `x` itself, or a copy if need be.
///
/// ```
/// use bn_tensor::to_row_major;
/// use ndarray::array;
/// let x = array![[1.0, 2.0], [3.0, 4.0]];
/// let transposed = x.t();
/// assert_eq!(to_row_major("sum", &transposed)?.as_slice(), Some(&[1.0, 3.0, 2.0, 4.0][..]));
/// # Ok::<(), bn_tensor::Error>(())
/// ```
///
/// # Errors
/// [`Error::TooLarge`] if there is no memory for the copy: a view that repeats its rows may have any
/// number of them.
pub fn to_row_major<'a, T: Zeroable + Clone, D: Dimension>(
    op: &'static str,
    x: &'a ArrayView<'_, T, D>,
) -> Result<CowArray<'a, T, D>, Error> {
    if x.is_standard_layout() {
        return Ok(x.view().into());
    }
    let mut copy = try_zeros(op, x.raw_dim())?;
    copy.assign(x);
    Ok(copy.into())
}
