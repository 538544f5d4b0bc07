use super::{
    cache::BatchNormCache,
    config::BatchNormConfig,
    extreme::{is_ordinary, measure_rescaled, rescale, rescale_shard},
    fused,
    running::{self, RunningStats},
};
use crate::{
    activation::Rectifier,
    error::Error,
    shards::{ShardReduction, ranges},
};
use bn_tensor::{Moments, Scalar, in_order, map};
use ndarray::{ArrayView1, ArrayView3, ArrayViewMut3, Axis};
use std::ops::Range;

const OP: &str = "BatchNormalization";

/// Normalises each channel of `x: (outer, C, inner)` by the batch's own mean and variance, writes
/// `y` of the same shape, and updates `running`, if given, by the batch (arXiv:1502.03167,
/// Algorithm 1).
///
/// ```text
/// mu  = E[x]                 (C)
/// var = E[(x − mu)²]         (C)
/// xn  = (x − mu)/√(var + eps)
/// y   = gamma·xn + beta
/// ```
///
/// `gamma` and `beta` have shape `(C)`; without them, gamma is 1 and beta is 0. Without `running`, a
/// NaN makes its whole channel NaN. The naive form is [`naive::batch_norm_train`](crate::naive::batch_norm_train).
///
/// ```
/// use bn_layers::{BatchNormCache, BatchNormConfig, RunningStats, batch_norm_train};
/// use ndarray::{Array2, Axis, array};
///
/// let x = array![[1.0, 10.0], [3.0, 30.0]]; // (N, D)
/// let (gamma, beta) = (array![1.0, 2.0], array![0.0, 5.0]); // owned by the caller
/// let config = BatchNormConfig::book();
/// let mut running = RunningStats::new(2, &config)?;
/// let mut cache = BatchNormCache::default();
/// let mut y = Array2::<f64>::zeros(x.dim());
/// batch_norm_train(
///     x.view().insert_axis(Axis(2)), // (N, D, 1)
///     Some(gamma.view()),
///     Some(beta.view()),
///     Some(&mut running),
///     &config,
///     &mut cache,
///     y.view_mut().insert_axis(Axis(2)),
/// )?;
/// assert!((y[[0, 0]] - -1.0).abs() < 1e-6 && (y[[1, 1]] - 7.0).abs() < 1e-6);
/// assert!((running.mean[0] - 0.2).abs() < 1e-15); // 0.9·0 + 0.1·2
/// # Ok::<(), bn_layers::Error>(())
/// ```
///
/// # Errors
/// [`Error::TooFewValues`] if there is only one value per channel, [`Error::EmptyBatch`] if there is
/// none, [`Error::Tensor`] if a shape does not fit, [`bn_tensor::Error::InvalidSetting`] if a setting
/// is out of range, [`Error::Statistics`] if `T` cannot hold a running mean or variance, for example
/// because of a NaN in `x`. On an error, `running` has not changed.
pub fn batch_norm_train<T: Scalar>(
    x: ArrayView3<'_, T>,
    gamma: Option<ArrayView1<'_, T>>,
    beta: Option<ArrayView1<'_, T>>,
    running: Option<&mut RunningStats<T>>,
    config: &BatchNormConfig,
    cache: &mut BatchNormCache<T>,
    y: ArrayViewMut3<'_, T>,
) -> Result<(), Error> {
    let channels = x.dim().1;
    if let Some(running) = &running {
        check_channels(channels, running.mean.len())?;
        check_channels(channels, running.var.len())?;
    }
    let forward = Forward {
        tracks: running.is_some(),
        ..Forward::new(gamma, beta, config)
    };
    forward.train(x, cache, y)?;
    if let Some(running) = running {
        running.update_checked(&cache.moments, config);
    }
    Ok(())
}

/// Normalises each channel of `x: (outer, C, inner)` by the statistics `running`, writes `y` of the
/// same shape, and saves in `cache` what the backward pass needs.
///
/// ```text
/// y = gamma·(x − running_mean)/√(running_var + eps) + beta
/// ```
///
/// # Errors
/// [`Error::EmptyBatch`] if there are no values, [`Error::Tensor`] if a shape does not fit,
/// [`bn_tensor::Error::InvalidSetting`] if a setting is out of range. On an error, nothing is written.
pub fn batch_norm_eval<T: Scalar>(
    x: ArrayView3<'_, T>,
    gamma: Option<ArrayView1<'_, T>>,
    beta: Option<ArrayView1<'_, T>>,
    running: &RunningStats<T>,
    config: &BatchNormConfig,
    cache: &mut BatchNormCache<T>,
    y: ArrayViewMut3<'_, T>,
) -> Result<(), Error> {
    Forward::new(gamma, beta, config).eval(x, running, cache, y)
}

/// The settings of a forward pass, without its input and output.
pub(super) struct Forward<'a, T> {
    pub(super) gamma: Option<ArrayView1<'a, T>>, // (C)
    pub(super) beta: Option<ArrayView1<'a, T>>,  // (C)
    pub(super) config: &'a BatchNormConfig,
    pub(super) rectifier: Option<Rectifier>, // applied in the same pass
    pub(super) tracks: bool, // whether `T` must hold the batch's statistics, to update running ones
    pub(super) reduction: Option<&'a dyn ShardReduction>,
}

impl<'a, T: Scalar> Forward<'a, T> {
    fn new(
        gamma: Option<ArrayView1<'a, T>>,
        beta: Option<ArrayView1<'a, T>>,
        config: &'a BatchNormConfig,
    ) -> Self {
        Self {
            gamma,
            beta,
            config,
            rectifier: None,
            tracks: false,
            reduction: None,
        }
    }

    /// As [`batch_norm_train`], without the update of the running statistics.
    pub(super) fn train(
        &self,
        x: ArrayView3<'_, T>, // (outer, C, inner)
        cache: &mut BatchNormCache<T>,
        y: ArrayViewMut3<'_, T>,
    ) -> Result<(), Error> {
        let (outer, _, inner) = x.dim();
        if self.reduction.is_none() {
            check_count((outer * inner) as u64)?;
        }
        self.check(&x, &y)?;
        cache.begin(x.dim(), true);
        if let Err(error) = self.statistics(x, cache) {
            cache.shape = (0, 0, 0); // there is no forward pass to differentiate
            return Err(error);
        }
        self.normalize(x, cache, y)
    }

    /// The batch's statistics: `mu = E[x]`, `inv_std = 1/√(var + eps)`.
    fn statistics(&self, x: ArrayView3<'_, T>, cache: &mut BatchNormCache<T>) -> Result<(), Error> {
        match self.reduction {
            Some(reduction) => shared_moments(x, reduction, cache)?,
            None => cache.moments.measure(x)?, // N, mu, m2 = Σ (x − mu)²
        }
        let is_ordinary = is_ordinary::<T>(&cache.moments);
        if !is_ordinary {
            match self.reduction {
                Some(_) => rescale_shard(x, cache),
                None => rescale(x, cache)?,
            }
        }
        if !is_ordinary && self.tracks {
            running::check::<T>(&cache.moments, self.config)?;
        }
        let (n, eps) = (cache.moments.count() as f64, self.config.eps);
        let (mean, m2) = (cache.moments.mean(), cache.moments.m2());
        let (mean, m2) = (in_order(OP, &mean)?, in_order(OP, &m2)?);
        cache.mu.copy_from_slice(mean);
        // `move`, because borrowed variables are read again for each value, which prevents
        // vectorisation.
        map(m2, &mut cache.inv_std, move |m2| inv_std(m2 / n, eps))?;
        Ok(())
    }

    /// See [`batch_norm_eval`].
    pub(super) fn eval(
        &self,
        x: ArrayView3<'_, T>, // (outer, C, inner)
        running: &RunningStats<T>,
        cache: &mut BatchNormCache<T>,
        y: ArrayViewMut3<'_, T>,
    ) -> Result<(), Error> {
        let channels = x.dim().1;
        if x.is_empty() && self.reduction.is_none() {
            let layer = "BatchNormalization";
            return Err(Error::EmptyBatch { layer });
        }
        self.check(&x, &y)?;
        check_channels(channels, running.mean.len())?;
        check_channels(channels, running.var.len())?;
        cache.begin(x.dim(), false);
        let statistics = running.mean.iter().zip(&running.var);
        let kept = cache.mu.iter_mut().zip(&mut cache.inv_std);
        for ((mu, inv), (mean, var)) in kept.zip(statistics) {
            (*mu, *inv) = (mean.as_f64(), inv_std(var.as_f64(), self.config.eps));
        }
        self.normalize(x, cache, y)
    }

    /// `y = gamma·(x − mu)·inv_std + beta`, then the rectifier.
    fn normalize(
        &self,
        x: ArrayView3<'_, T>,
        cache: &mut BatchNormCache<T>,
        y: ArrayViewMut3<'_, T>,
    ) -> Result<(), Error> {
        let rescaled = cache.rescaled.take();
        match &rescaled {
            None => self.coefficients(cache, |_| 1.0),
            Some(rescaled) => self.coefficients(cache, |c| rescaled.factors[c]),
        }
        let x = rescaled.as_ref().map_or(x, |rescaled| rescaled.x.view());
        let result = fused::affine(self.rectifier, x, cache.affine(), y);
        cache.rescaled = rescaled;
        Ok(result?)
    }

    /// Computes the coefficients of `y = (f·x − center)·scale + shift` for channels that have been
    /// multiplied by `f`. The shift corrects for the rounding of the center.
    #[inline(always)]
    fn coefficients(&self, cache: &mut BatchNormCache<T>, factor: impl Fn(usize) -> f64) {
        let n = cache.shape.1;
        // Slices of the same length, so that the loop is vectorised.
        let (mu, inv_std) = (&cache.mu[..n], &cache.inv_std[..n]);
        let (center, scale) = (&mut cache.center[..n], &mut cache.scale[..n]);
        let shift = &mut cache.shift[..n];
        let (gamma, beta) = (slice(&self.gamma), slice(&self.beta));
        let mut set = |c: usize, gamma: f64, beta: f64| {
            let (mu, f) = (mu[c] * factor(c), factor(c));
            let scaled = gamma * inv_std[c] / f;
            center[c] = T::from_f64(mu);
            scale[c] = T::from_f64(scaled);
            shift[c] = T::from_f64(beta - (mu - center[c].as_f64()) * scaled);
        };
        if let (Some(gamma), Some(beta)) = (gamma, beta) {
            let (gamma, beta) = (&gamma[..n], &beta[..n]);
            (0..n).for_each(|c| set(c, gamma[c].as_f64(), beta[c].as_f64()));
        } else {
            (0..n).for_each(|c| set(c, at(&self.gamma, c, 1.0), at(&self.beta, c, 0.0)));
        }
    }

    fn check(&self, x: &ArrayView3<'_, T>, y: &ArrayViewMut3<'_, T>) -> Result<(), Error> {
        self.config.check()?;
        for values in [&self.gamma, &self.beta].into_iter().flatten() {
            check_channels(x.dim().1, values.len())?;
        }
        if x.dim() != y.dim() {
            return Err(Error::shape(OP, x.shape(), y.shape()));
        }
        in_order(OP, x)?;
        in_order(OP, &y.view())?;
        Ok(())
    }
}

/// The moments of the whole batch, of which `x` has some shards.
fn shared_moments<T: Scalar>(
    x: ArrayView3<'_, T>,
    reduction: &dyn ShardReduction,
    cache: &mut BatchNormCache<T>,
) -> Result<(), Error> {
    let of_shards = &mut cache.of_shards;
    of_shards.resize_with(reduction.rows().len(), Moments::default);
    for (moments, part) in of_shards.iter_mut().zip(outer_ranges(x.dim().0, reduction)) {
        let x = x.slice_axis(Axis(0), part.into());
        moments.measure(x)?;
        if !is_ordinary::<T>(moments) {
            measure_rescaled(x, moments)?;
        }
    }
    reduction.moments(of_shards, &mut cache.moments)?;
    let (expected, got) = (cache.mu.len(), cache.moments.channels());
    if expected != got {
        let reason = format!("expected moments of {expected} channels, got {got}");
        return Err(Error::Shards { reason });
    }
    check_count(cache.moments.count())
}

/// The part of each shard in an array `(outer, C, inner)`: a row may be several indices of `outer`.
pub(super) fn outer_ranges(
    outer: usize,
    reduction: &dyn ShardReduction,
) -> impl Iterator<Item = Range<usize>> {
    let rows = reduction.rows();
    let per_row = outer / rows.iter().sum::<usize>().max(1);
    ranges(rows).map(move |rows| rows.start * per_row..rows.end * per_row)
}

/// `1/√(var + eps)`; NaN for an infinite variance, which would otherwise make all values 0.
#[inline(always)]
pub(super) fn inv_std(var: f64, eps: f64) -> f64 {
    1.0 / (var + eps).sqrt() + 0.0 * var
}

/// The values as a slice, if there are any and they are contiguous.
pub(super) fn slice<'a, T>(values: &'a Option<ArrayView1<'_, T>>) -> Option<&'a [T]> {
    values.as_ref().and_then(|values| values.as_slice())
}

#[inline(always)]
pub(super) fn at<T: Scalar>(values: &Option<ArrayView1<'_, T>>, c: usize, otherwise: f64) -> f64 {
    values.as_ref().map_or(otherwise, |v| v[c].as_f64())
}

/// Checks that each channel has at least two values, which batch statistics need.
fn check_count(count: u64) -> Result<(), Error> {
    let layer = "BatchNormalization";
    match count {
        0 => Err(Error::EmptyBatch { layer }),
        1 => Err(Error::TooFewValues { layer, got: 1 }),
        _ => Ok(()),
    }
}

pub(super) fn check_channels(expected: usize, got: usize) -> Result<(), Error> {
    match expected == got {
        true => Ok(()),
        false => Err(Error::shape("BatchNormalization", &[expected], &[got])),
    }
}
