use crate::{
    accumulate::ACCUMULATORS,
    parallel::{PIECE, join},
    scalar::Scalar,
    simd::{NullaryFnOnce, vectorize},
};
use std::array::from_fn;

/// The largest `|x|`. It is NaN if a value is NaN, infinite if a value is infinite, and 0 if there are no
/// values.
///
/// So one number shows whether all values are finite. `x` is read at the speed of the cache or memory
/// that holds it. Naive form: [`naive::largest_magnitude`](crate::naive::largest_magnitude).
///
/// ```
/// use bn_tensor::largest_magnitude;
/// assert_eq!(largest_magnitude(&[1.0f32, -3.0, 2.0]), 3.0);
/// assert!(largest_magnitude(&[f32::INFINITY, f32::NAN, 1.0]).is_nan());
/// ```
#[inline]
pub fn largest_magnitude<T: Scalar>(x: &[T]) -> T {
    T::from_magnitude_bits(of_pieces(x, x.len()))
}

/// The largest magnitude of `x`, which is cut into pieces of fixed size. `work` is the total number of
/// values.
fn of_pieces<T: Scalar>(x: &[T], work: usize) -> T::Bits {
    let pieces = x.len().div_ceil(PIECE);
    if pieces <= 1 {
        return vectorize(OfPiece(x));
    }
    let (left, right) = x.split_at(pieces / 2 * PIECE);
    let (a, b) = join(work, || of_pieces(left, work), || of_pieces(right, work));
    a.max(b)
}

/// Finds the bits of the largest magnitude, on the calling thread.
pub(crate) struct OfPiece<'a, T>(pub(crate) &'a [T]);

impl<T: Scalar> NullaryFnOnce for OfPiece<'_, T> {
    type Output = T::Bits;

    #[inline(always)]
    fn call(self) -> T::Bits {
        let mut largest = [T::Bits::default(); ACCUMULATORS];
        let (whole, rest) = self.0.as_chunks::<ACCUMULATORS>();
        for x in whole {
            let bits = x.map(T::magnitude_bits);
            largest = from_fn(|k| largest[k].max(bits[k]));
        }
        // Rows of a hundred values leave a rest of more than a vector.
        let (few, rest) = rest.as_chunks::<16>();
        for x in few {
            for (largest, x) in largest.iter_mut().zip(x) {
                *largest = x.magnitude_bits().max(*largest);
            }
        }
        let of_rest = rest.iter().map(|x| x.magnitude_bits());
        of_rest.chain(largest).max().unwrap_or_default()
    }
}
