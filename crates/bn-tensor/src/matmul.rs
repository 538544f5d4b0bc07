use crate::{
    Error, Scalar, blas,
    gemm::{Factor, Right, Start},
    par,
    row_product::{add_dot_products, add_outer_product, add_row_product},
    simd::has_registers,
};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, Axis, linalg::general_mat_mul};

/// A product of fewer multiply-adds is not cut: it takes some 10 µs.
const WORTH_CUTTING: usize = 1 << 19;
/// From so many on the BLAS's product is cut into four tiles, below into two.
const WORTH_FOUR: usize = 1 << 26;
/// Multiply-adds, at least, of a tile of a large product of the BLAS, which is cut into more than four.
const TILE_WORK: usize = 1 << 30;
/// Multiply-adds of the least tile of our own product: below it packing takes too long.
const LEAST_TILE: usize = 1 << 20;
/// A depth at which the BLAS packs for longer than it multiplies: that of a 3×3 kernel on one channel.
const THIN: usize = 16;
/// Tiles are cut at multiples of this, so that no tile but the last leaves a vector half empty.
const TILE_ALIGN: usize = 16;
/// Rows of our own product's tiles are cut at multiples of this, which its panels have.
const PANEL_ROWS: usize = 12;

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
    product(
        "matmul",
        Factor::Matrix(a),
        Right::Matrix(b),
        Start::Scaled(beta),
        c,
    )
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
    let a = Factor::Matrix(a.reversed_axes());
    product("matmul_tn", a, Right::Matrix(b), Start::Scaled(beta), c)
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
    let (a, b) = (Factor::Matrix(a), Right::Matrix(b.reversed_axes()));
    product("matmul_nt", a, b, Start::Scaled(beta), c)
}

/// `c = a·b + row`, the row added to each row of `c`; see [`matmul`].
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
/// [`Error::ShapeMismatch`] when the four do not fit.
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
        Factor::Matrix(a),
        Right::Matrix(b),
        Start::Row(row),
        c,
    )
}

/// `c = a·b + start` for `a: (M, K)`, `b: (K, N)`, either possibly transposed by its strides.
pub(crate) fn product<'a, T: Scalar>(
    op: &'static str,
    a: Factor<'a, T>,
    b: Right<'a, T>,
    start: Start<'a, T>,
    c: ArrayViewMut2<'a, T>,
) -> Result<(), Error> {
    let ((m, k), (kb, n)) = (a.dim(), b.dim());
    if k != kb {
        return Err(Error::shape(op, &[k, n], &[kb, n]));
    }
    if c.dim() != (m, n) {
        return Err(Error::shape(op, &[m, n], c.shape()));
    }
    blas::use_calling_thread_only();
    let are_matrices = matches!((&a, &b), (Factor::Matrix(_), Right::Matrix(_)));
    let b_by_columns = matches!(&b, Right::Matrix(b) if b.stride_of(Axis(1)) != 1);
    let ours = !are_matrices || is_ours(m, n, k, b_by_columns) && c.strides()[1] == 1;
    let tiles = match m * n * k {
        // Cut for the threads that are there: here alone, where no cut changes the bits.
        work if ours => par::threads().next_power_of_two().min(work / LEAST_TILE),
        work if work < WORTH_CUTTING => 1,
        work if work < WORTH_FOUR => 2,
        work => (work / TILE_WORK).max(4),
    };
    Product {
        a,
        b,
        start,
        c,
        ours,
    }
    .compute(tiles.checked_ilog2().unwrap_or(0));
    Ok(())
}

/// Which of the two takes less time, ours or the BLAS's, where `b` may lie by columns.
///
/// OpenBLAS has kernels without packing for a million multiply-adds at most: 109 GFLOP/s at
/// (100, 100)·(100, 100) to our 96, of a core's 115. Above, ours is faster: 95 to 90 at
/// (100, 784)·(784, 100), 100 to 94 at (256, 100)·(100, 100), 108 to 98 at (1024, 2048)·(2048, 2048).
/// So it is in the small `a·bᵀ`, 93 to 81, and where there are few `k`, but not for the few columns of a
/// last layer, nor for the 50 rows of a lane of an evaluation, for which packing `b` took 0.03 of 0.18 ms.
/// Without a BLAS, ours against ndarray's is faster wherever packing pays.
pub(crate) fn is_ours(m: usize, n: usize, k: usize, b_by_columns: bool) -> bool {
    let work = m * n * k;
    if cfg!(any(feature = "openblas", feature = "openblas-static")) {
        let enough = if b_by_columns && k > THIN {
            1 << 18
        } else {
            1 << 20
        };
        work >= enough && m >= 96 && n >= 64 && has_registers()
    } else {
        work >= 1 << 12 && m > 1 && n >= 4 && has_registers()
    }
}

struct Product<'a, T> {
    a: Factor<'a, T>, // (M, K)
    b: Right<'a, T>,  // (K, N)
    start: Start<'a, T>,
    c: ArrayViewMut2<'a, T>, // (M, N)
    ours: bool,
}

impl<T: Scalar> Product<'_, T> {
    /// Halves the longer side of `c`, and those of its parts, so many times; then multiplies. (Halving
    /// until a part was small enough cut the longer of 48 and 52 rows once more: the book's step on two
    /// threads took 0.50 ms instead of 0.46.)
    fn compute(self, halvings: u32) {
        let (m, n) = self.c.dim();
        let across = m < n && matches!(self.b, Right::Matrix(_));
        let (longer, align) = match (across, self.ours) {
            (false, true) => (m, PANEL_ROWS),
            (false, false) => (m, TILE_ALIGN),
            (true, _) => (n, TILE_ALIGN),
        };
        let middle = (longer / 2 + align / 2) / align * align;
        // A cut that leaves less than a third on one side would not balance.
        if halvings == 0 || middle.min(longer - middle.min(longer)) < longer / 3 {
            return self.multiply();
        }
        let work = m * n * self.b.dim().0;
        let (left, right) = if across {
            self.cut_columns(middle)
        } else {
            self.cut_rows(middle)
        };
        let halvings = halvings - 1;
        par::join(work, || left.compute(halvings), || right.compute(halvings));
    }

    /// The parts before and after row `at` of `c`.
    fn cut_rows(self, at: usize) -> (Self, Self) {
        let (a0, a1) = self.a.split_at(at);
        let (c0, c1) = self.c.split_at(Axis(0), at);
        (
            Self {
                a: a0,
                c: c0,
                ..self
            },
            Self {
                a: a1,
                c: c1,
                ..self
            },
        )
    }

    /// The parts before and after column `at` of `c`.
    fn cut_columns(self, at: usize) -> (Self, Self) {
        let (b0, b1) = self.b.split_at(at);
        let (c0, c1) = self.c.split_at(Axis(1), at);
        let (start0, start1) = match self.start {
            Start::Scaled(_) => (self.start, self.start),
            Start::Row(row) => {
                let (row0, row1) = row.split_at(at);
                (Start::Row(row0), Start::Row(row1))
            }
        };
        let left = Self {
            a: self.a.clone(),
            b: b0,
            start: start0,
            c: c0,
            ..self
        };
        (
            left,
            Self {
                b: b1,
                start: start1,
                c: c1,
                ..self
            },
        )
    }

    fn multiply(self) {
        let Self {
            a,
            b,
            start,
            mut c,
            ours,
        } = self;
        let (a, b) = match (a, b) {
            (Factor::Matrix(a), Right::Matrix(b)) if !ours => (a, b),
            (a, b) => return T::gemm(a, b, start, c),
        };
        let beta = match start {
            Start::Scaled(beta) => beta,
            Start::Row(row) => {
                c.assign(&ArrayView1::from(row));
                T::one()
            }
        };
        let (m, k, n) = (a.nrows(), a.ncols(), b.ncols());
        // A vector is a factor or the result: the matrix is read once, and not packed.
        if m == 1
            && b.stride_of(Axis(1)) == 1
            && let (Some(a), Some(c)) = (a.as_slice(), c.as_slice_mut())
        {
            scale(&mut *c, beta);
            add_row_product(a, b, c);
        } else if n == 1
            && a.stride_of(Axis(1)) == 1
            && let (Some(b), Some(c)) = (b.as_slice(), c.as_slice_mut())
        {
            add_dot_products(a, b, beta, c);
        } else if n == 1
            && a.stride_of(Axis(0)) == 1
            && let (Some(b), Some(c)) = (b.as_slice(), c.as_slice_mut())
        {
            scale(&mut *c, beta);
            add_row_product(b, a.reversed_axes(), c);
        } else if k == 1
            && c.stride_of(Axis(1)) == 1
            && let Some(b) = b.row(0).to_slice()
        {
            add_outer_product(a.column(0), b, beta, c);
        } else if k == 0 {
            scale(c, beta);
        } else {
            general_mat_mul(T::one(), &a, &b, beta, &mut c);
        }
    }
}

/// `c = beta·c`; with `beta = 0` the old values are not read.
fn scale<'a, T: Scalar>(c: impl IntoIterator<Item = &'a mut T>, beta: T) {
    for c in c {
        *c = if beta == T::zero() { beta } else { beta * *c };
    }
}
