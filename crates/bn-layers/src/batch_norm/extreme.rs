//! Values whose squares or sums the element type cannot hold: above 1.8e19 in `f32`. Their channels
//! are first multiplied by a power of two. This copies the batch but loses no digits.

use super::{cache::BatchNormCache, rescaled::Rescaled};
use crate::error::Error;
use bn_tensor::{Moments, Scalar};
use ndarray::{ArrayView2, ArrayView3, Axis};

/// Whether the variance of every channel is so small that squares, sums and coefficients stay well
/// within the range of `T`. False if a variance is NaN.
pub(super) fn is_ordinary<T: Scalar>(moments: &Moments) -> bool {
    let most = most_m2::<T>(moments);
    // `all` would stop at the first such channel and would not be vectorised.
    (moments.m2().iter()).fold(true, |ordinary, &m2| ordinary & (m2 <= most))
}

fn most_m2<T>(moments: &Moments) -> f64 {
    let var = match size_of::<T>() {
        4 => 2f64.powi(80),
        _ => 2f64.powi(640),
    };
    var * moments.count() as f64
}

/// Measures the moments of `x: (outer, C, inner)` again. Each channel that is not ordinary is first
/// multiplied by a power of two that brings its largest magnitude to between 1/2 and 1. A channel
/// with a NaN or an infinity is not changed.
pub(super) fn rescale<T: Scalar>(
    x: ArrayView3<'_, T>,
    cache: &mut BatchNormCache<T>,
) -> Result<(), Error> {
    cache.rescaled = measure_rescaled(x, &mut cache.moments)?.map(Box::new);
    Ok(())
}

/// Measures the moments of `x: (outer, C, inner)` as [`rescale`] does. Returns what it has measured.
pub(super) fn measure_rescaled<T: Scalar>(
    x: ArrayView3<'_, T>,
    to: &mut Moments,
) -> Result<Option<Rescaled<T>>, Error> {
    let Some(rescaled) = rescaled(x, to, |_| 0.0) else {
        return Ok(None);
    };
    let (moments, factors) = (Moments::of(rescaled.x.view())?, &rescaled.factors);
    let (mean, m2) = (moments.mean(), moments.m2());
    let mean: Vec<f64> = mean.iter().zip(factors).map(|(m, f)| m / f).collect();
    let m2: Vec<f64> = m2.iter().zip(factors).map(|(m, f)| m / f / f).collect();
    to.set_parts(moments.count(), &mean, &m2)?;
    Ok(Some(rescaled))
}

/// Rescales the channels of this shard that are not ordinary in the whole batch. The cache holds
/// the moments of the whole batch; the shard's own values may be ordinary, or small.
pub(super) fn rescale_shard<T: Scalar>(x: ArrayView3<'_, T>, cache: &mut BatchNormCache<T>) {
    let (mean, m2) = (cache.moments.mean(), cache.moments.m2());
    let n = cache.moments.count() as f64;
    let size = |c: usize| mean[c].abs().max((m2[c] / n).sqrt());
    if let Some(rescaled) = rescaled(x, &cache.moments, size) {
        cache.rescaled = Some(Box::new(rescaled));
    }
}

/// Returns a copy of `x` in which each channel that is not ordinary by these moments is multiplied
/// by its [`factor`]; `None` if no channel needs it. `size(c)` is a lower bound for the magnitude of
/// channel `c`.
fn rescaled<T: Scalar>(
    x: ArrayView3<'_, T>,
    moments: &Moments,
    size: impl Fn(usize) -> f64,
) -> Option<Rescaled<T>> {
    let (most, m2) = (most_m2::<T>(moments), moments.m2());
    let channels = x.axis_iter(Axis(1)).enumerate();
    let factors: Vec<f64> = channels
        .map(|(c, channel)| match m2[c] <= most {
            true => 1.0,
            false => factor(channel, size(c)),
        })
        .collect();
    if factors.iter().all(|&factor| factor == 1.0) {
        return None;
    }
    let mut x = x.to_owned();
    for (mut channel, &factor) in x.axis_iter_mut(Axis(1)).zip(&factors) {
        channel.mapv_inplace(|x| T::from_f64(x.as_f64() * factor));
    }
    Some(Rescaled { x, factors })
}

/// Returns the power of two that brings the largest magnitude, or `size` if that is larger, to
/// between 1/2 and 1. Returns 1 if a value is not finite or all are 0.
fn factor<T: Scalar>(channel: ArrayView2<'_, T>, size: f64) -> f64 {
    let largest = (channel.iter()).fold(size, |largest, x| largest.max(x.as_f64().abs()));
    let is_finite = largest.is_finite() && channel.iter().all(|x| x.is_finite());
    if !is_finite || largest == 0.0 {
        return 1.0;
    }
    2f64.powi(-(largest.log2().floor() as i32) - 1)
}
