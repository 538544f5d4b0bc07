//! Which kernel computes a product, and how it is cut between threads.

use super::{
    gemm::{gemm, kernel::Start, left::LeftHandSide, right::RightHandSide},
    small::add_small_product,
    vector::{add_dot_products, add_outer_product, add_row_product, scale},
};
use crate::{
    blas::with_blas,
    error::Error,
    magnitude::OfPiece,
    parallel,
    scalar::Scalar,
    simd::{has_registers, vectorize},
};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, Axis, linalg::general_mat_mul};

/// A product of fewer multiply-adds is not cut: it takes about 10 µs.
const WORTH_CUTTING: usize = 1 << 19;
/// A product by the BLAS is cut into two tiles below this many multiply-adds, and into at least four
/// from there on.
const WORTH_FOUR: usize = 1 << 26;
/// The minimum number of multiply-adds of a tile, if a product by the BLAS is cut into more than four.
const BLAS_TILE: usize = 1 << 30;
/// The minimum number of multiply-adds of a tile of [`gemm`]: packing smaller ones takes too long.
const GEMM_TILE: usize = 1 << 20;
/// Up to this depth, the BLAS spends more time on packing than on multiplying. A 3×3 kernel on one
/// channel, with a depth of 9, is below it.
const SHALLOW: usize = 16;
/// Tiles are cut at multiples of this, so that only the last tile leaves a vector partly empty.
const TILE_ALIGN: usize = 16;
/// Without a BLAS, products of fewer multiply-adds are loops over vectors, which need no packing and no
/// memory for it.
const SMALL: usize = 1 << 12;
const HAS_BLAS: bool = cfg!(any(feature = "openblas", feature = "openblas-static"));
/// Rows of the tiles of [`gemm`] are cut at multiples of this, the height of its panels.
const PANEL_ROWS: usize = 12;

/// `c = a·b + start` for `a: (M, K)`, `b: (K, N)`; either may be transposed by its strides.
pub(crate) fn product<'a, T: Scalar>(
    op: &'static str,
    a: LeftHandSide<'a, T>,
    b: RightHandSide<'a, T>,
    start: Start<'a, T>,
    c: ArrayViewMut2<'a, T>,
) -> Result<(), Error> {
    measured_product(op, a, b, start, c, false).map(drop)
}

/// As [`product`]; returns the largest magnitude in `c` if `measures` is true.
pub(crate) fn measured_product<'a, T: Scalar>(
    op: &'static str,
    a: LeftHandSide<'a, T>,
    b: RightHandSide<'a, T>,
    start: Start<'a, T>,
    c: ArrayViewMut2<'a, T>,
    measures: bool,
) -> Result<T, Error> {
    let ((m, k), (kb, n)) = (a.dim(), b.dim());
    if k != kb {
        return Err(Error::shape(op, &[k, n], &[kb, n]));
    }
    if c.dim() != (m, n) {
        return Err(Error::shape(op, &[m, n], c.shape()));
    }
    let are_matrices = matches!(
        (&a, &b),
        (LeftHandSide::Matrix(_), RightHandSide::Matrix(_))
    );
    let b_by_columns = matches!(&b, RightHandSide::Matrix(b) if b.stride_of(Axis(1)) != 1);
    let by_gemm = !are_matrices || gemm_is_faster(m, n, k, b_by_columns) && c.strides()[1] == 1;
    let tiles = match multiply_adds(m, n, k) {
        // The only cut that depends on the number of threads: no cut changes the bits of `gemm`.
        work if by_gemm => parallel::threads()
            .next_power_of_two()
            .min(work / GEMM_TILE),
        work if work < WORTH_CUTTING => 1,
        work if work < WORTH_FOUR => 2,
        work => (work / BLAS_TILE).max(4),
    };
    let product = Product {
        a,
        b,
        start,
        c,
        by_gemm,
        measures,
    };
    Ok(product.compute(tiles.checked_ilog2().unwrap_or(0)))
}

/// [`product`] by [`gemm`], whatever the shape: each row of `c` has the same bits whatever rows `a` has beside it.
pub(super) fn product_by_rows<'a, T: Scalar>(
    op: &'static str,
    a: ArrayView2<'a, T>,
    b: ArrayView2<'a, T>,
    start: Start<'a, T>,
    mut c: ArrayViewMut2<'a, T>,
) -> Result<(), Error> {
    let ((m, k), (kb, n)) = (a.dim(), b.dim());
    if k != kb || c.dim() != (m, n) {
        return Err(Error::shape(op, &[m, k, n], &[c.nrows(), kb, c.ncols()]));
    }
    if !has_registers() || (n > 1 && c.strides()[1] != 1) {
        for (a, c) in a
            .axis_chunks_iter(Axis(0), 1)
            .zip(c.axis_chunks_iter_mut(Axis(0), 1))
        {
            let (a, b) = (LeftHandSide::Matrix(a), RightHandSide::Matrix(b));
            product(op, a, b, start, c)?;
        }
        return Ok(());
    }
    let work = multiply_adds(m, n, k) / GEMM_TILE;
    let tiles = parallel::threads().next_power_of_two().min(work);
    let product = Product {
        a: LeftHandSide::Matrix(a),
        b: RightHandSide::Matrix(b),
        start,
        c,
        by_gemm: true,
        measures: false,
    };
    product.compute(tiles.checked_ilog2().unwrap_or(0));
    Ok(())
}

/// The number of multiply-adds of a product; a view that repeats its rows may ask for any number.
fn multiply_adds(m: usize, n: usize, k: usize) -> usize {
    m.saturating_mul(n).saturating_mul(k)
}

/// Whether [`gemm`] is faster than the BLAS for `a: (M, K)`, `b: (K, N)`; `b` may be stored by columns.
///
/// Up to a million multiply-adds OpenBLAS has kernels that do not pack. At (100, 100)·(100, 100) they
/// reach 109 GFLOP/s and `gemm` 96; the peak of the core is 115. For larger products `gemm` is faster: 95
/// against 90 at (100, 784)·(784, 100), 100 against 94 at (256, 100)·(100, 100), 108 against 98 at
/// (1024, 2048)·(2048, 2048). It is also faster for a small `a·bᵀ` (93 against 81) and for a small
/// depth. It is slower if `b` has as few columns as in a last layer, or if `a` has as few rows as a part
/// of an evaluation: with 50 rows, packing `b` took 0.03 of 0.18 ms. Without a BLAS, `gemm` computes all
/// but the smallest products.
pub(crate) fn gemm_is_faster(m: usize, n: usize, k: usize, b_by_columns: bool) -> bool {
    let work = multiply_adds(m, n, k);
    if HAS_BLAS {
        let enough = if b_by_columns && k > SHALLOW {
            1 << 18
        } else {
            1 << 20
        };
        work >= enough && m >= 96 && n >= 64 && has_registers()
    } else {
        work >= SMALL && m > 1 && n > 1 && has_registers()
    }
}

struct Product<'a, T> {
    a: LeftHandSide<'a, T>,  // (M, K)
    b: RightHandSide<'a, T>, // (K, N)
    start: Start<'a, T>,
    c: ArrayViewMut2<'a, T>, // (M, N)
    by_gemm: bool,
    measures: bool, // whether to find the largest magnitude in `c`
}

impl<T: Scalar> Product<'_, T> {
    /// Halves the longer side of `c`, and of its parts, `halvings` times, then multiplies. (When each
    /// part was halved until it was small enough, of two parts with 48 and 52 rows only the longer was
    /// halved again, and the book's training step on two threads took 0.50 ms instead of 0.46.)
    fn compute(self, halvings: u32) -> T {
        let (m, n) = self.c.dim();
        let across = m < n && matches!(self.b, RightHandSide::Matrix(_));
        let (longer, align) = match (across, self.by_gemm) {
            (false, true) => (m, PANEL_ROWS),
            (false, false) => (m, TILE_ALIGN),
            (true, _) => (n, TILE_ALIGN),
        };
        let middle = (longer / 2 + align / 2) / align * align;
        // With less than a third on one side, the work would not be balanced.
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
        let (left, right) =
            parallel::join(work, || left.compute(halvings), || right.compute(halvings));
        T::from_magnitude_bits(left.magnitude_bits().max(right.magnitude_bits()))
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

    fn multiply(self) -> T {
        let Self {
            a,
            b,
            start,
            mut c,
            by_gemm,
            measures,
        } = self;
        let (a, b) = match (a, b) {
            (LeftHandSide::Matrix(a), RightHandSide::Matrix(b)) if !by_gemm => (a, b),
            (a, b) => return gemm(a, b, start, c, measures),
        };
        let beta = match start {
            Start::Scaled(beta) => beta,
            Start::Row(row) => {
                c.assign(&ArrayView1::from(row));
                T::one()
            }
        };
        let (m, k, n) = (a.nrows(), a.ncols(), b.ncols());
        // One side or the result is a vector: the matrix is read once, and not packed.
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
            add_outer_product(a.column(0), b, beta, c.view_mut());
        } else if k == 0 {
            scale(&mut c, beta);
        } else if HAS_BLAS || m > 1 && m * n * k >= SMALL || !add_small_product(a, b, beta, &mut c)
        {
            with_blas(|| general_mat_mul(T::one(), &a, &b, beta, &mut c));
        }
        T::from_magnitude_bits(match c.as_slice() {
            _ if !measures => T::Bits::default(),
            Some(c) => vectorize(OfPiece(c)),
            None => {
                let bits = c.iter().map(|c| c.magnitude_bits());
                bits.max().unwrap_or_default()
            }
        })
    }
}
