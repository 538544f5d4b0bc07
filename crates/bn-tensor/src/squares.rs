use crate::{
    parallel::{PIECE, join},
    scalar::Scalar,
    simd::{NullaryFnOnce, vectorize},
};

/// `Σ x²`, in double precision, so that squares of large `f32` do not overflow. The order of the sum
/// depends only on the length. Naive form:
/// [`naive::sum_of_squares`](crate::naive::sum_of_squares).
///
/// ```
/// use bn_tensor::sum_of_squares;
/// assert_eq!(sum_of_squares(&[3.0f32, -4.0]), 25.0);
/// assert_eq!(sum_of_squares(&[1e19f32; 100]), 100.0 * f64::from(1e19f32).powi(2));
/// ```
pub fn sum_of_squares<T: Scalar>(x: &[T]) -> f64 {
    of_pieces(x, x.len())
}

/// The sum of `x`, which is cut into pieces of fixed size. `work` is the total number of values.
fn of_pieces<T: Scalar>(x: &[T], work: usize) -> f64 {
    let pieces = x.len().div_ceil(PIECE);
    if pieces <= 1 {
        return vectorize(OfPiece(x));
    }
    let (left, right) = x.split_at(pieces / 2 * PIECE);
    let (a, b) = join(work, || of_pieces(left, work), || of_pieces(right, work));
    a + b
}

/// Sums the squares on the calling thread.
struct OfPiece<'a, T>(&'a [T]);

impl<T: Scalar> NullaryFnOnce for OfPiece<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        const SUMS: usize = 32; // additions need not wait for each other
        let mut sums = [0.0; SUMS];
        let (whole, rest) = self.0.as_chunks::<SUMS>();
        for x in whole {
            for (sum, x) in sums.iter_mut().zip(x) {
                *sum += x.as_f64() * x.as_f64();
            }
        }
        let of_rest: f64 = rest.iter().map(|x| x.as_f64() * x.as_f64()).sum();
        of_rest + sums.iter().sum::<f64>()
    }
}
