//! A random mask that is computed where it is used, not stored.

use crate::{
    error::{Error, same_len},
    parallel::{self, PIECE},
    scalar::Scalar,
    simd::{NullaryFnOnce, vectorize},
};

/// The random mask `m` of Dropout: `m[i]` is 0 with probability `ratio`, and `kept` otherwise.
///
/// Each `m[i]` is computed from a hash of `key` and `start + i` (modulo 2³²), so the mask need not be stored: the
/// same key gives the same mask. Hashes in vectors take a tenth of the time of a random number generator.
///
/// ```
/// let mask = bn_tensor::Mask { key: 7, start: 0, ratio: 0.25, kept: 2.0 };
/// let (x, mut y, mut z) = (vec![1.0; 10_000], vec![0.0; 10_000], vec![0.0; 10_000]);
/// mask.apply(&x, &mut y)?;
/// let dropped = y.iter().filter(|&&y| y == 0.0).count();
/// assert!(y.iter().all(|&y| y == 0.0 || y == 2.0) && (2400..2600).contains(&dropped));
/// mask.apply(&x, &mut z)?;
/// assert_eq!(y, z);
/// # Ok::<(), bn_tensor::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mask<T> {
    /// Identifies the mask: different keys give independent masks.
    pub key: u64,
    /// The position of the first value, if the mask is applied to a part of an array.
    pub start: usize,
    /// The probability of a 0; at least 0 and below 1.
    pub ratio: f64,
    /// The other value of the mask.
    pub kept: T,
}

impl<T: Scalar> Mask<T> {
    /// `y[i] = x[i]·m[i]`. A NaN stays a NaN.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] if the lengths differ.
    pub fn apply(&self, x: &[T], y: &mut [T]) -> Result<(), Error> {
        same_len("Mask::apply", y.len(), x.len())?;
        let work = y.len();
        parallel::for_each_piece(y, PIECE, work, &|start, y: &mut [T]| {
            self.write_from(start, &x[start..start + y.len()], y);
        });
        Ok(())
    }

    /// `y = x·m` for values whose positions begin with `start`.
    #[inline(always)]
    pub(crate) fn write_from(&self, start: usize, x: &[T], y: &mut [T]) {
        let values = self.values_from(start);
        vectorize(Masked { values, x, y });
    }

    /// `y = y·m` for values whose positions begin with `start`.
    #[inline(always)]
    pub(crate) fn apply_from(&self, start: usize, y: &mut [T]) {
        let values = self.values_from(start);
        vectorize(MaskedInPlace { values, y });
    }

    fn values_from(&self, start: usize) -> Values<T> {
        Values {
            start: self.start.wrapping_add(start) as u32,
            key: [self.key as u32, (self.key >> 32) as u32],
            threshold: (self.ratio * 2f64.powi(32)) as u32, // of 2³² equally likely numbers
            kept: self.kept,
        }
    }
}

/// The mask from position `start` on.
#[derive(Clone, Copy)]
struct Values<T> {
    start: u32,
    key: [u32; 2],
    threshold: u32,
    kept: T,
}

impl<T: Scalar> Values<T> {
    #[inline(always)]
    fn at(&self, i: usize) -> T {
        let position = self.start.wrapping_add(i as u32);
        let random = hash(hash(position ^ self.key[0]).wrapping_add(self.key[1]));
        if random < self.threshold {
            T::zero()
        } else {
            self.kept
        }
    }
}

struct Masked<'a, T> {
    values: Values<T>,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Scalar> NullaryFnOnce for Masked<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { values, x, y } = self;
        for (i, (y, &x)) in y.iter_mut().zip(x).enumerate() {
            *y = x * values.at(i);
        }
    }
}

struct MaskedInPlace<'a, T> {
    values: Values<T>,
    y: &'a mut [T],
}

impl<T: Scalar> NullaryFnOnce for MaskedInPlace<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { values, y } = self;
        for (i, y) in y.iter_mut().enumerate() {
            *y *= values.at(i);
        }
    }
}

/// A one-to-one hash with random-looking values: `lowbias32` of
/// <https://github.com/skeeto/hash-prospector>.
#[inline(always)]
fn hash(i: u32) -> u32 {
    let i = (i ^ (i >> 16)).wrapping_mul(0x7feb_352d);
    let i = (i ^ (i >> 15)).wrapping_mul(0x846c_a68b);
    i ^ (i >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(key: u64, ratio: f64) -> Mask<f32> {
        let kept = 1.0;
        Mask {
            key,
            start: 0,
            ratio,
            kept,
        }
    }

    /// Values that are neighbours, or a row apart, are dropped independently.
    #[test]
    fn neighbours_are_independent() {
        const N: usize = 1 << 20;
        let (x, mut y) = (vec![1.0f32; N], vec![0.0; N]);
        for key in [0, 1, 1 << 32, u64::MAX] {
            mask(key, 0.3).apply(&x, &mut y).unwrap();
            let share = |count: usize, n: usize| count as f64 / n as f64;
            let dropped = share(y.iter().filter(|&&v| v == 0.0).count(), N);
            // Five standard errors of a share of N.
            assert!(
                (dropped - 0.3).abs() < 5.0 * (0.21 / N as f64).sqrt(),
                "{dropped}"
            );
            for apart in [1, 2, 16, 100, 784, 1 << 14] {
                let pairs = y.iter().zip(&y[apart..]);
                let both = pairs.filter(|(a, b)| **a == 0.0 && **b == 0.0).count();
                let both = share(both, N - apart);
                assert!(
                    (both - 0.09).abs() < 5.0 * (0.0819 / N as f64).sqrt(),
                    "{apart}: {both}"
                );
            }
        }
    }

    #[test]
    fn masks_of_different_keys_are_independent() {
        const N: usize = 1 << 20;
        let (x, mut y, mut z) = (vec![1.0f32; N], vec![0.0; N], vec![0.0; N]);
        for other in [1, 1 << 32, 1 << 63] {
            mask(0, 0.5).apply(&x, &mut y).unwrap();
            mask(other, 0.5).apply(&x, &mut z).unwrap();
            let equal = y.iter().zip(&z).filter(|(a, b)| a == b).count();
            assert!((equal as f64 / N as f64 - 0.5).abs() < 5.0 * 0.5 / (N as f64).sqrt());
        }
    }
}
