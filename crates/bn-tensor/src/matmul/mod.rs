//! Matrix products: by the BLAS, by this crate's own kernel, or by loops over vectors, whichever is
//! fastest for the shape.

pub mod by_rows;
pub(crate) mod gemm;
pub(crate) mod product;
mod small;
pub(crate) mod vector;

use crate::{error::Error, scalar::Scalar};
use gemm::{kernel::Start, left::LeftHandSide, right::RightHandSide};
use ndarray::{ArrayView2, ArrayViewMut2};
use product::{measured_product, product};

/// `c = a·b + beta·c` for `a: (M, K)`, `b: (K, N)`, `c: (M, N)`.
///
/// With `beta = 0` the old values of `c` are not read. The product is cut into tiles of `c`, and the
/// sum over `K` is never split between threads, so the bits do not depend on the number of threads.
/// Naive form: [`naive::matmul`](crate::naive::matmul).
///
/// ```
/// use ndarray::{array, Array2};
/// let (a, b) = (array![[1.0, 2.0], [3.0, 4.0]], array![[1.0], [10.0]]);
/// let mut c = Array2::zeros((2, 1));
/// bn_tensor::matmul(a.view(), b.view(), 0.0, c.view_mut())?;
/// assert_eq!(c, array![[21.0], [43.0]]);
/// # Ok::<(), bn_tensor::Error>(())
/// ```
///
/// # Errors
/// [`Error::ShapeMismatch`] if the three shapes do not agree.
pub fn matmul<T: Scalar>(
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    beta: T,
    c: ArrayViewMut2<'_, T>,
) -> Result<(), Error> {
    product(
        "matmul",
        LeftHandSide::Matrix(a),
        RightHandSide::Matrix(b),
        Start::Scaled(beta),
        c,
    )
}

/// `c = aᵀ·b + beta·c` for `a: (K, M)`, `b: (K, N)`, `c: (M, N)`; see [`matmul`].
///
/// # Errors
/// [`Error::ShapeMismatch`] if the three shapes do not agree.
pub fn matmul_tn<T: Scalar>(
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    beta: T,
    c: ArrayViewMut2<'_, T>,
) -> Result<(), Error> {
    let a = LeftHandSide::Matrix(a.reversed_axes());
    product(
        "matmul_tn",
        a,
        RightHandSide::Matrix(b),
        Start::Scaled(beta),
        c,
    )
}

/// Computes [`matmul_tn`] with `beta = 0` and returns the
/// [largest magnitude](crate::largest_magnitude) in `c`, which is found while each part of `c` is in the
/// cache. For gradients, this shows at almost no cost whether they are finite.
///
/// ```
/// use ndarray::{array, Array2};
/// let (x, dout) = (array![[1.0, 2.0]], array![[3.0, -4.0]]);
/// let mut dw = Array2::zeros((2, 2));
/// let largest = bn_tensor::matmul_tn_largest(x.view(), dout.view(), dw.view_mut())?;
/// assert_eq!(largest, 8.0);
/// # Ok::<(), bn_tensor::Error>(())
/// ```
///
/// # Errors
/// [`Error::ShapeMismatch`] if the three shapes do not agree.
pub fn matmul_tn_largest<T: Scalar>(
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    c: ArrayViewMut2<'_, T>,
) -> Result<T, Error> {
    let (a, b) = (
        LeftHandSide::Matrix(a.reversed_axes()),
        RightHandSide::Matrix(b),
    );
    let start = Start::Scaled(T::zero());
    measured_product("matmul_tn_largest", a, b, start, c, true)
}

/// `c = a·bᵀ + beta·c` for `a: (M, K)`, `b: (N, K)`, `c: (M, N)`; see [`matmul`].
///
/// # Errors
/// [`Error::ShapeMismatch`] if the three shapes do not agree.
pub fn matmul_nt<T: Scalar>(
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    beta: T,
    c: ArrayViewMut2<'_, T>,
) -> Result<(), Error> {
    let (a, b) = (
        LeftHandSide::Matrix(a),
        RightHandSide::Matrix(b.reversed_axes()),
    );
    product("matmul_nt", a, b, Start::Scaled(beta), c)
}

/// `c = a·b + row`, with `row: (N)` added to each row of the product; see [`matmul`].
///
/// ```
/// use ndarray::{array, Array2};
/// let mut y = Array2::zeros((2, 2));
/// let (x, w, b) = (array![[1.0], [2.0]], array![[10.0, 20.0]], [0.5, 0.0]);
/// bn_tensor::matmul_plus_row(x.view(), w.view(), &b, y.view_mut())?;
/// assert_eq!(y, array![[10.5, 20.0], [20.5, 40.0]]);
/// # Ok::<(), bn_tensor::Error>(())
/// ```
///
/// # Errors
/// [`Error::ShapeMismatch`] if the four shapes do not agree.
pub fn matmul_plus_row<T: Scalar>(
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    row: &[T],
    c: ArrayViewMut2<'_, T>,
) -> Result<(), Error> {
    if row.len() != b.ncols() {
        return Err(Error::shape("matmul_plus_row", &[b.ncols()], &[row.len()]));
    }
    product(
        "matmul_plus_row",
        LeftHandSide::Matrix(a),
        RightHandSide::Matrix(b),
        Start::Row(row),
        c,
    )
}
