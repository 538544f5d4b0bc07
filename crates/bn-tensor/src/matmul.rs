use crate::{Error, Scalar, blas, par};
use ndarray::{ArrayView2, ArrayViewMut2, Axis, linalg::general_mat_mul};

/// A product of fewer multiply-adds is not cut: it takes some 10 µs.
const WORTH_CUTTING: usize = 1 << 19;
/// From so many on it is cut into four tiles, below into two. Smaller tiles cost more packing: at
/// (1024, 2048)·(2048, 2048) four take 1 % longer than the whole on one thread, sixteen 10 %.
const WORTH_FOUR: usize = 1 << 26;
/// Multiply-adds of a tile of a large product, which is cut into more than four.
const TILE_WORK: usize = 1 << 30;
/// Tiles are cut at multiples of this, so that no tile but the last leaves a vector half empty.
const TILE_ALIGN: usize = 16;

/// `c = a·b + beta·c` for `a: (M, K)`, `b: (K, N)`, `c: (M, N)`.
///
/// With `beta = 0` the old values of `c` are not read. The product is cut into tiles of `c` by its
/// size alone and the sum over `K` is never split between threads, so the bits do not depend on
/// the number of threads. Naive form: [`naive::matmul`](crate::naive::matmul).
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
/// [`Error::ShapeMismatch`] when the three do not fit.
pub fn matmul<T: Scalar>(
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    beta: T,
    c: ArrayViewMut2<'_, T>,
) -> Result<(), Error> {
    product("matmul", a, b, beta, c)
}

/// `c = aᵀ·b + beta·c` for `a: (K, M)`, `b: (K, N)`, `c: (M, N)`; see [`matmul`].
///
/// # Errors
/// [`Error::ShapeMismatch`] when the three do not fit.
pub fn matmul_tn<T: Scalar>(
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    beta: T,
    c: ArrayViewMut2<'_, T>,
) -> Result<(), Error> {
    product("matmul_tn", a.reversed_axes(), b, beta, c)
}

/// `c = a·bᵀ + beta·c` for `a: (M, K)`, `b: (N, K)`, `c: (M, N)`; see [`matmul`].
///
/// # Errors
/// [`Error::ShapeMismatch`] when the three do not fit.
pub fn matmul_nt<T: Scalar>(
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    beta: T,
    c: ArrayViewMut2<'_, T>,
) -> Result<(), Error> {
    product("matmul_nt", a, b.reversed_axes(), beta, c)
}

/// `a: (M, K)`, `b: (K, N)`, either possibly transposed by its strides.
fn product<T: Scalar>(
    op: &'static str,
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    beta: T,
    mut c: ArrayViewMut2<'_, T>,
) -> Result<(), Error> {
    let ((m, k), (kb, n)) = (a.dim(), b.dim());
    if k != kb {
        return Err(Error::shape(op, &[k, n], &[kb, n]));
    }
    if c.dim() != (m, n) {
        return Err(Error::shape(op, &[m, n], c.shape()));
    }
    if k == 0 {
        c.mapv_inplace(|v| if beta == T::zero() { beta } else { beta * v });
        return Ok(());
    }
    blas::use_calling_thread_only();
    let tiles = match m * n * k {
        work if work < WORTH_CUTTING => 1,
        work if work < WORTH_FOUR => 2,
        work => (work / TILE_WORK).max(4),
    };
    tile(a, b, beta, c, (m * n).div_ceil(tiles));
    Ok(())
}

/// Halves the longer side of `c` until it holds at most `area` elements, then multiplies.
fn tile<T: Scalar>(
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    beta: T,
    mut c: ArrayViewMut2<'_, T>,
    area: usize,
) {
    let (m, n) = c.dim();
    let longer = m.max(n);
    let middle = (longer / 2 + TILE_ALIGN / 2) / TILE_ALIGN * TILE_ALIGN;
    // A cut that leaves less than a third on one side would not balance.
    if m * n <= area || middle.min(longer - middle.min(longer)) < longer / 3 {
        general_mat_mul(T::one(), &a, &b, beta, &mut c);
        return;
    }
    let work = m * n * a.ncols();
    if m >= n {
        let (a0, a1) = a.split_at(Axis(0), middle);
        let (c0, c1) = c.split_at(Axis(0), middle);
        par::join(
            work,
            || tile(a0, b, beta, c0, area),
            || tile(a1, b, beta, c1, area),
        );
    } else {
        let (b0, b1) = b.split_at(Axis(1), middle);
        let (c0, c1) = c.split_at(Axis(1), middle);
        par::join(
            work,
            || tile(a, b0, beta, c0, area),
            || tile(a, b1, beta, c1, area),
        );
    }
}
