//! Mean and sum of squared deviations per channel, in one pass.

use super::{Dims, reduce::Reduction};
use crate::{
    accumulate::{ACCUMULATORS, RUN, add, fold},
    scalar::Scalar,
    simd::chunk,
};
use std::ops::Range;

pub(super) type CountMeanM2 = (u64, f64, f64);

/// Chan's formula, which merges the moments of two sets of values.
#[inline(always)]
pub(super) fn merged(a: CountMeanM2, b: CountMeanM2) -> (f64, f64) {
    let (n_a, mean_a, m2_a) = a;
    let (n_b, mean_b, m2_b) = b;
    let n = (n_a + n_b) as f64;
    let delta = mean_b - mean_a;
    let share = n_b as f64 / n;
    (
        mean_a + delta * share,
        m2_a + m2_b + delta * delta * (n_a as f64 * share),
    )
}

/// The reduction to `(mean, m2)` per channel.
///
/// Sums run over deviations from an estimate of the mean: that of the first values, and from the second
/// tile on the mean so far. If the estimate is off by `delta`, cancellation costs `eps·count·delta²` of
/// a tile's m2, but the total m2 then is larger by `count·delta²`.
pub(super) struct Deviations<'a, T> {
    pub(super) x: &'a [T],
    pub(super) dims: Dims,
}

/// Values whose mean is the estimate for the first tile.
const FIRST: usize = 4;

/// The mean and m2 of `n` values, from the sums of the deviations `d` from `shift` and of their
/// squares.
#[inline(always)]
fn corrected<T: Scalar>(n: u64, shift: T, sum_d: f64, sum_d2: f64) -> CountMeanM2 {
    let n_f = n as f64;
    let mean = shift.as_f64() + sum_d / n_f;
    let m2 = sum_d2 - sum_d * sum_d / n_f;
    (n, mean, if m2 < 0.0 { 0.0 } else { m2 }) // a NaN stays
}

impl<T: Scalar> Reduction for Deviations<'_, T> {
    type T = T;

    #[inline(always)]
    fn begin(&self, rows: Range<usize>, first: usize, shift: &mut [T]) {
        let few = rows.start..(rows.start + FIRST).min(rows.end);
        let share = T::one() / T::from_f64(few.len() as f64);
        for r in few {
            let row = &self.x[r * self.dims.channels + first..];
            shift.iter_mut().zip(row).for_each(|(s, &x)| *s += x);
        }
        shift.iter_mut().for_each(|s| *s *= share);
    }

    #[inline(always)]
    fn strip<const R: usize, const W: usize>(
        &self,
        row: usize,
        column: usize,
        shift: &[T; W],
        [sums_d, sums_d2]: [&mut [T; W]; 2],
    ) {
        let (mut sum_d, mut sum_d2) = ([T::zero(); W], [T::zero(); W]);
        for r in row..row + R {
            let x = chunk::<T, W>(&self.x[r * self.dims.channels + column..]);
            for k in 0..W {
                let d = x[k] - shift[k];
                sum_d[k] += d;
                sum_d2[k] += d * d;
            }
        }
        add(sums_d, sum_d);
        add(sums_d2, sum_d2);
    }

    #[inline(always)]
    fn flush(
        &self,
        seen: CountMeanM2,
        count: u64,
        shift: &mut T,
        [sum_d, sum_d2]: [T; 2],
    ) -> (f64, f64) {
        let values = corrected(count, *shift, sum_d.as_f64(), sum_d2.as_f64());
        let (mean, m2) = merged(seen, values);
        *shift = T::from_f64(mean);
        (mean, m2)
    }

    #[inline(always)]
    fn channel(&self, rows: Range<usize>, c: usize) -> (f64, f64) {
        let Dims {
            channels, inner, ..
        } = self.dims;
        let run = |o: usize| &self.x[(o * channels + c) * inner..][..inner];
        let few = &run(rows.start)[..FIRST.min(inner)];
        let mut shift = few.iter().copied().sum::<T>() / T::from_f64(few.len() as f64);
        let (mut seen, mut mean, mut m2) = (0, 0.0, 0.0);
        let (mut sum_d, mut sum_d2, mut count) =
            ([T::zero(); ACCUMULATORS], [T::zero(); ACCUMULATORS], 0);
        for o in rows.clone() {
            let mut pieces = run(o).chunks(RUN).peekable();
            while let Some(x) = pieces.next() {
                let (whole, rest) = x.as_chunks::<ACCUMULATORS>();
                for x in whole {
                    for k in 0..ACCUMULATORS {
                        let d = x[k] - shift;
                        sum_d[k] += d;
                        sum_d2[k] += d * d;
                    }
                }
                for (k, &x) in rest.iter().enumerate() {
                    let d = x - shift;
                    sum_d[k] += d;
                    sum_d2[k] += d * d;
                }
                count += x.len();
                let is_last = o + 1 == rows.end && pieces.peek().is_none();
                if count >= RUN || is_last {
                    let values = corrected(count as u64, shift, fold(sum_d), fold(sum_d2));
                    (mean, m2) = merged((seen, mean, m2), values);
                    seen += count as u64;
                    shift = T::from_f64(mean);
                    (sum_d, sum_d2, count) =
                        ([T::zero(); ACCUMULATORS], [T::zero(); ACCUMULATORS], 0);
                }
            }
        }
        (mean, m2)
    }

    #[inline(always)]
    fn combine(&self, seen: CountMeanM2, later: CountMeanM2) -> (f64, f64) {
        merged(seen, later)
    }
}
