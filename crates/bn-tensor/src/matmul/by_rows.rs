//! Matrix products in which the bits of each row of the result do not depend on the other rows, so that a batch may
//! be cut anywhere. (The other products choose the fastest kernel for the number of rows.)

use super::{gemm::kernel::Start, product::product_by_rows};
use crate::{error::Error, scalar::Scalar};
use ndarray::{ArrayView2, ArrayViewMut2};

/// `c = a·b`, and `row` added to each row of it, if there is one; see [`matmul`](crate::matmul).
///
/// ```
/// use ndarray::{Array2, s};
/// let a = Array2::from_shape_fn((300, 50), |(m, k)| ((m * 50 + k) as f32).sin());
/// let b = Array2::from_shape_fn((50, 70), |(k, n)| ((k * 70 + n) as f32).cos());
/// let (mut all, mut one) = (Array2::zeros((300, 70)), Array2::zeros((1, 70)));
/// bn_tensor::by_rows::matmul(a.view(), b.view(), None, all.view_mut())?;
/// bn_tensor::by_rows::matmul(a.slice(s![17..18, ..]), b.view(), None, one.view_mut())?;
/// assert_eq!(one.row(0), all.row(17)); // the same bits
/// # Ok::<(), bn_tensor::Error>(())
/// ```
///
/// # Errors
/// [`Error::ShapeMismatch`] if the shapes do not agree.
pub fn matmul<T: Scalar>(
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    row: Option<&[T]>,
    c: ArrayViewMut2<'_, T>,
) -> Result<(), Error> {
    let op = "by_rows::matmul";
    let start = match row {
        Some(row) if row.len() != b.ncols() => {
            return Err(Error::shape(op, &[b.ncols()], &[row.len()]));
        }
        Some(row) => Start::Row(row),
        None => Start::Scaled(T::zero()),
    };
    product_by_rows(op, a, b, start, c)
}

/// `c = a·bᵀ`; see [`matmul_nt`](crate::matmul_nt).
///
/// # Errors
/// [`Error::ShapeMismatch`] if the shapes do not agree.
pub fn matmul_nt<T: Scalar>(
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    c: ArrayViewMut2<'_, T>,
) -> Result<(), Error> {
    let (op, start) = ("by_rows::matmul_nt", Start::Scaled(T::zero()));
    product_by_rows(op, a, b.reversed_axes(), start, c)
}
