//! A random mask that is worked out where it is needed.

use crate::{
    Error, Scalar,
    elementwise::PIECE,
    error::same_len,
    par,
    simd::{NullaryFnOnce, vectorize},
};

/// `y[i] = x[i]·m[i]`, where the mask `m[i]` is 0 with probability `ratio` and else `kept`: Dropout's
/// loop.
///
/// The mask follows from `key` and the place alone (modulo 2³²), so it need not be stored: whoever
/// has the key can apply it again. Each value's is a hash of its own, vectors of which take a tenth
/// of the time of a generator's stream. A NaN stays a NaN.
///
/// ```
/// let (x, mut y, mut z) = (vec![1.0; 10_000], vec![0.0; 10_000], vec![0.0; 10_000]);
/// bn_tensor::random_mask(&x, &mut y, 7, 0.25, 2.0)?;
/// let dropped = y.iter().filter(|&&y| y == 0.0).count();
/// assert!(y.iter().all(|&y| y == 0.0 || y == 2.0) && (2400..2600).contains(&dropped));
/// bn_tensor::random_mask(&x, &mut z, 7, 0.25, 2.0)?;
/// assert_eq!(y, z);
/// # Ok::<(), bn_tensor::Error>(())
/// ```
///
/// # Errors
/// [`Error::ShapeMismatch`] when the lengths differ.
pub fn random_mask<T: Scalar>(
    x: &[T],
    y: &mut [T],
    key: u64,
    ratio: f64,
    kept: T,
) -> Result<(), Error> {
    same_len("random_mask", y.len(), x.len())?;
    let work = y.len();
    let threshold = (ratio * 2f64.powi(32)) as u32; // of 2³² equally likely numbers
    par::for_each_piece(y, PIECE, work, &|start, y: &mut [T]| {
        vectorize(Masked {
            x: &x[start..start + y.len()],
            y,
            start: start as u32,
            key: [key as u32, (key >> 32) as u32],
            threshold,
            kept,
        });
    });
    Ok(())
}

struct Masked<'a, T> {
    x: &'a [T],
    y: &'a mut [T],
    start: u32,
    key: [u32; 2],
    threshold: u32,
    kept: T,
}

impl<T: Scalar> NullaryFnOnce for Masked<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            x,
            y,
            start,
            key: [first, second],
            threshold,
            kept,
        } = self;
        for (i, (y, &x)) in y.iter_mut().zip(x).enumerate() {
            let place = start.wrapping_add(i as u32);
            let random = scattered(scattered(place ^ first).wrapping_add(second));
            *y = x * if random < threshold { T::zero() } else { kept };
        }
    }
}

/// A number that looks random, another one for each (the hash `lowbias32` of
/// <https://github.com/skeeto/hash-prospector>).
#[inline(always)]
fn scattered(i: u32) -> u32 {
    let i = (i ^ (i >> 16)).wrapping_mul(0x7feb_352d);
    let i = (i ^ (i >> 15)).wrapping_mul(0x846c_a68b);
    i ^ (i >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that follow each other, or stand a row apart, are dropped independently.
    #[test]
    fn neighbours_are_independent() {
        const N: usize = 1 << 20;
        let (x, mut y) = (vec![1.0f32; N], vec![0.0; N]);
        for key in [0, 1, 1 << 32, u64::MAX] {
            random_mask(&x, &mut y, key, 0.3, 1.0).unwrap();
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
            random_mask(&x, &mut y, 0, 0.5, 1.0).unwrap();
            random_mask(&x, &mut z, other, 0.5, 1.0).unwrap();
            let equal = y.iter().zip(&z).filter(|(a, b)| a == b).count();
            assert!((equal as f64 / N as f64 - 0.5).abs() < 5.0 * 0.5 / (N as f64).sqrt());
        }
    }
}
