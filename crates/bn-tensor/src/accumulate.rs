//! Sums of many values in several accumulators, so that additions need not wait for each other.

use crate::scalar::Scalar;

/// The number of accumulators for a run of values: four of the widest vectors of f32.
pub(crate) const ACCUMULATORS: usize = 64;

/// The number of values that are summed in the element type before the sum continues in double
/// precision.
pub(crate) const RUN: usize = 4096;

/// `sums += values`
#[inline(always)]
pub(crate) fn add<T: Scalar, const W: usize>(sums: &mut [T; W], values: [T; W]) {
    sums.iter_mut().zip(values).for_each(|(s, v)| *s += v);
}

/// The sum of all accumulators; the last eight are added in double precision.
#[inline(always)]
pub(crate) fn fold<T: Scalar>(mut sums: [T; ACCUMULATORS]) -> f64 {
    for half in [32, 16, 8] {
        for k in 0..half {
            let upper = sums[k + half];
            sums[k] += upper;
        }
    }
    sums[..8].iter().map(|v| v.as_f64()).sum()
}
