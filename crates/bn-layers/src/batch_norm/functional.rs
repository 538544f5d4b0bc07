use super::BatchNormConfig;
use crate::{Activation, Error, Identity, order::in_order};
use bn_tensor::{
    ChannelAffine, Moments, Scalar, Scratch, channel_affine, channel_combine, channel_sum_and_dot,
    map,
};
use ndarray::{Array1, ArrayView1, ArrayView3, ArrayViewMut3};

/// Running mean and variance, which a caller owns and [`batch_norm_train`] moves.
#[derive(Debug, Clone, PartialEq)]
pub struct RunningStats<T> {
    /// Running mean of each channel, `(C)`; starts at 0.
    pub mean: Array1<T>,
    /// Running variance of each channel, `(C)`.
    pub var: Array1<T>,
    /// How many batches have moved them.
    pub updates: u64,
}

impl<T: Scalar> RunningStats<T> {
    /// Before the first batch.
    pub fn new(channels: usize, config: &BatchNormConfig) -> Self {
        Self {
            mean: Array1::zeros(channels),
            var: Array1::from_elem(channels, T::from_f64(config.initial_running_var)),
            updates: 0,
        }
    }

    /// `running += share·(batch − running)`, for the mean and the variance.
    ///
    /// # Errors
    /// [`Error::Tensor`] when `batch` has other channels, or fewer values than the variance needs.
    pub fn update(&mut self, batch: &Moments, config: &BatchNormConfig) -> Result<(), Error> {
        if batch.channels() != self.mean.len() || self.mean.len() != self.var.len() {
            let (expected, got) = ([self.mean.len()], [batch.channels()]);
            return Err(Error::shape("RunningStats::update", &expected, &got));
        }
        let share = config.running.share(self.updates);
        let moved = |r: &mut T, b: f64| *r = T::from_f64(r.as_f64() * (1.0 - share) + b * share);
        if config.unbiased_running_var {
            let var = batch.unbiased_variance()?;
            self.var.iter_mut().zip(var).for_each(|(r, b)| moved(r, b));
        } else {
            let var = batch.variance()?;
            self.var.iter_mut().zip(var).for_each(|(r, b)| moved(r, b));
        }
        let mean = self.mean.iter_mut().zip(batch.mean());
        mean.for_each(|(r, &b)| moved(r, b));
        self.updates += 1;
        Ok(())
    }
}

/// What a forward pass leaves for its backward pass; its memory is kept from batch to batch.
///
/// Per-channel figures are held in double precision, so that what is done once per channel costs
/// no digits; what is done once per value runs in `T`.
#[derive(Debug, Clone)]
pub struct BatchNormCache<T> {
    moments: Moments,  // of the batch, or left over from one
    mu: Vec<f64>,      // (C): what was subtracted: the batch's mean or the running one
    inv_std: Vec<f64>, // (C): 1/√(var + eps), of the same
    center: Vec<T>,    // (C): mu, rounded to T
    scale: Vec<T>,     // (C): gamma/√(var + eps)
    shift: Vec<T>,     // (C): beta, and what the rounding of the center lost
    pqr: [Vec<T>; 3],  // (C) each
    sums: Vec<f64>,    // (2·C): dbeta, and Σ dout·(x − center)
    scratch: Scratch,
    shape: (usize, usize, usize), // of the last forward pass
    of_batch: bool,               // whether it normalised by the batch's own statistics
}

impl<T: Scalar> Default for BatchNormCache<T> {
    fn default() -> Self {
        Self {
            moments: Moments::default(),
            mu: Vec::new(),
            inv_std: Vec::new(),
            center: Vec::new(),
            scale: Vec::new(),
            shift: Vec::new(),
            pqr: Default::default(),
            sums: Vec::new(),
            scratch: Scratch::default(),
            shape: (0, 0, 0),
            of_batch: false,
        }
    }
}

impl<T: Scalar> BatchNormCache<T> {
    /// Count, mean and squared deviations of the last batch that was normalised by its own;
    /// `None` when the last forward pass was [`batch_norm_eval`], or there was none.
    pub fn moments(&self) -> Option<&Moments> {
        self.of_batch.then_some(&self.moments)
    }

    /// Makes ready for a forward pass of this shape.
    fn begin(&mut self, shape: (usize, usize, usize), of_batch: bool) {
        let channels = shape.1;
        (self.shape, self.of_batch) = (shape, of_batch);
        let [p, q, r] = &mut self.pqr;
        for values in [&mut self.center, &mut self.scale, &mut self.shift, p, q, r] {
            values.resize(channels, T::zero());
        }
        self.sums.resize(2 * channels, 0.0);
        self.mu.resize(channels, 0.0);
        self.inv_std.resize(channels, 0.0);
    }
}

/// Normalises each channel of `x: (outer, C, inner)` by the batch's own mean and variance, writes
/// `y` of the same shape, and moves `running`, if given, by the batch (arXiv:1502.03167,
/// Algorithm 1).
///
/// ```text
/// mu  = E[x]                 (C)
/// var = E[(x − mu)²]         (C)
/// xn  = (x − mu)/√(var + eps)
/// y   = gamma·xn + beta
/// ```
///
/// Without gamma it is 1, without beta it is 0; `(C)` each. A NaN in a channel makes that whole
/// channel NaN. The naive form is [`naive::batch_norm_train`](crate::naive::batch_norm_train).
///
/// ```
/// use bn_layers::{BatchNormCache, BatchNormConfig, RunningStats, batch_norm_train};
/// use ndarray::{Array2, Axis, array};
///
/// let x = array![[1.0, 10.0], [3.0, 30.0]]; // (N, D)
/// let (gamma, beta) = (array![1.0, 2.0], array![0.0, 5.0]); // the caller's own
/// let config = BatchNormConfig::book();
/// let mut running = RunningStats::new(2, &config);
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
/// [`Error::TooFewValues`] for fewer than two values per channel, [`Error::EmptyBatch`],
/// [`Error::Tensor`] for shapes that do not fit, [`Error::InvalidSetting`] for a config out of
/// range. Then nothing of the caller's has changed.
pub fn batch_norm_train<T: Scalar>(
    x: ArrayView3<'_, T>,
    gamma: Option<ArrayView1<'_, T>>,
    beta: Option<ArrayView1<'_, T>>,
    running: Option<&mut RunningStats<T>>,
    config: &BatchNormConfig,
    cache: &mut BatchNormCache<T>,
    y: ArrayViewMut3<'_, T>,
) -> Result<(), Error> {
    train_then(x, gamma, beta, running, config, cache, &Identity, y)
}

/// [`batch_norm_train`] and an activation in one pass.
#[allow(clippy::too_many_arguments)]
pub(super) fn train_then<T: Scalar>(
    x: ArrayView3<'_, T>,
    gamma: Option<ArrayView1<'_, T>>,
    beta: Option<ArrayView1<'_, T>>,
    running: Option<&mut RunningStats<T>>,
    config: &BatchNormConfig,
    cache: &mut BatchNormCache<T>,
    activation: &impl Activation,
    y: ArrayViewMut3<'_, T>,
) -> Result<(), Error> {
    const OP: &str = "batch_norm_train";
    config.check()?;
    let (outer, channels, inner) = x.dim();
    check_count(outer, inner)?;
    check_forward(x.dim(), &gamma, &beta, y.dim())?;
    in_order(OP, &x)?;
    in_order(OP, &y.view())?;
    if let Some(running) = &running {
        check_channels(channels, running.mean.len())?;
        check_channels(channels, running.var.len())?;
    }

    cache.begin(x.dim(), true);
    cache.moments.measure(x)?;
    let (n, eps) = ((outer * inner) as f64, config.eps);
    let (mean, m2) = (cache.moments.mean(), cache.moments.m2());
    let (mean, m2) = (in_order(OP, &mean)?, in_order(OP, &m2)?);
    cache.mu.copy_from_slice(mean);
    // `move`: what a closure borrows, the compiler reads again for each value, and the loop is no vectors.
    map(m2, &mut cache.inv_std, move |m2| inv_std(m2 / n, eps))?;
    normalize(x, gamma, beta, cache, activation, y)?;
    if let Some(running) = running {
        running.update(&cache.moments, config)?;
    }
    Ok(())
}

/// Normalises each channel of `x: (outer, C, inner)` by given statistics, writes `y` of the same
/// shape, and keeps in `cache` what a backward pass needs.
///
/// ```text
/// y = gamma·(x − running_mean)/√(running_var + eps) + beta
/// ```
///
/// # Errors
/// [`Error::EmptyBatch`], [`Error::Tensor`] for shapes that do not fit, [`Error::InvalidSetting`]
/// for a config out of range. Then nothing of the caller's has changed.
pub fn batch_norm_eval<T: Scalar>(
    x: ArrayView3<'_, T>,
    gamma: Option<ArrayView1<'_, T>>,
    beta: Option<ArrayView1<'_, T>>,
    running: &RunningStats<T>,
    config: &BatchNormConfig,
    cache: &mut BatchNormCache<T>,
    y: ArrayViewMut3<'_, T>,
) -> Result<(), Error> {
    eval_then(x, gamma, beta, running, config, cache, &Identity, y)
}

/// [`batch_norm_eval`] and an activation in one pass.
#[allow(clippy::too_many_arguments)]
pub(super) fn eval_then<T: Scalar>(
    x: ArrayView3<'_, T>,
    gamma: Option<ArrayView1<'_, T>>,
    beta: Option<ArrayView1<'_, T>>,
    running: &RunningStats<T>,
    config: &BatchNormConfig,
    cache: &mut BatchNormCache<T>,
    activation: &impl Activation,
    y: ArrayViewMut3<'_, T>,
) -> Result<(), Error> {
    config.check()?;
    let (outer, channels, inner) = x.dim();
    if outer * inner == 0 {
        let layer = "BatchNormalization";
        return Err(Error::EmptyBatch { layer });
    }
    check_forward(x.dim(), &gamma, &beta, y.dim())?;
    in_order("batch_norm_eval", &x)?;
    in_order("batch_norm_eval", &y.view())?;
    check_channels(channels, running.mean.len())?;
    check_channels(channels, running.var.len())?;
    cache.begin(x.dim(), false);
    let statistics = running.mean.iter().zip(&running.var);
    let kept = cache.mu.iter_mut().zip(&mut cache.inv_std);
    for ((mu, inv), (mean, var)) in kept.zip(statistics) {
        (*mu, *inv) = (mean.as_f64(), inv_std(var.as_f64(), config.eps));
    }
    normalize(x, gamma, beta, cache, activation, y)
}

/// 1/√(var + eps)
#[inline(always)]
pub(super) fn inv_std(var: f64, eps: f64) -> f64 {
    1.0 / (var + eps).sqrt()
}

/// `y = activation((x − center)·scale + shift)`, where the shift makes up for the rounding of the
/// center.
fn normalize<T: Scalar>(
    x: ArrayView3<'_, T>,
    gamma: Option<ArrayView1<'_, T>>,
    beta: Option<ArrayView1<'_, T>>,
    cache: &mut BatchNormCache<T>,
    activation: &impl Activation,
    y: ArrayViewMut3<'_, T>,
) -> Result<(), Error> {
    for c in 0..x.dim().1 {
        let (mu, inv_std) = (cache.mu[c], cache.inv_std[c]);
        let (gamma, beta) = (at(&gamma, c, 1.0), at(&beta, c, 0.0));
        let (center, scale) = (T::from_f64(mu), gamma * inv_std);
        let residue = mu - center.as_f64();
        cache.center[c] = center;
        cache.scale[c] = T::from_f64(scale);
        cache.shift[c] = T::from_f64(beta - residue * scale);
    }
    channel_affine(x, affine(cache), |y| activation.value(y), y)?;
    Ok(())
}

fn affine<T>(cache: &BatchNormCache<T>) -> ChannelAffine<'_, T> {
    ChannelAffine {
        center: &cache.center,
        scale: &cache.scale,
        shift: &cache.shift,
    }
}

/// The gradients of the last forward pass, [`batch_norm_train`] or [`batch_norm_eval`], whose `x`
/// and `cache` are handed in again: for `dout` of the shape of `x`, writes `dgamma` and `dbeta`,
/// `(C)`, and `dx`, where they are wanted.
///
/// ```text
/// dbeta  = Σ dout
/// dgamma = Σ dout·xn
/// dx     = gamma/√(var + eps)·(dout − dbeta/N − xn·dgamma/N)     after batch_norm_train
/// dx     = gamma/√(var + eps)·dout                               after batch_norm_eval
/// ```
///
/// with N values per channel: the chain rule of the book's backward, its sums collected
/// (arXiv:1502.03167, section 3).
///
/// # Errors
/// [`Error::NoForward`] when the last forward pass had other rows, [`Error::Tensor`] for shapes
/// that do not fit. Then nothing of the caller's has changed.
pub fn batch_norm_backward<T: Scalar>(
    x: ArrayView3<'_, T>,
    dout: ArrayView3<'_, T>,
    gamma: Option<ArrayView1<'_, T>>,
    cache: &mut BatchNormCache<T>,
    dgamma: Option<&mut [T]>,
    dbeta: Option<&mut [T]>,
    dx: Option<ArrayViewMut3<'_, T>>,
) -> Result<(), Error> {
    backward_then(x, dout, gamma, cache, &Identity, dgamma, dbeta, dx)
}

/// [`batch_norm_backward`] of BatchNormalization and an activation after it.
#[allow(clippy::too_many_arguments)]
pub(super) fn backward_then<T: Scalar>(
    x: ArrayView3<'_, T>,
    dout: ArrayView3<'_, T>,
    gamma: Option<ArrayView1<'_, T>>,
    cache: &mut BatchNormCache<T>,
    activation: &impl Activation,
    mut dgamma: Option<&mut [T]>,
    mut dbeta: Option<&mut [T]>,
    dx: Option<ArrayViewMut3<'_, T>>,
) -> Result<(), Error> {
    const OP: &str = "batch_norm_backward";
    let (outer, channels, inner) = cache.shape;
    if x.dim().0 != outer {
        return Err(Error::NoForward {
            layer: "BatchNormalization",
            expected: outer,
            got: x.dim().0,
        });
    }
    for seen in [&x, &dout] {
        if seen.dim() != cache.shape {
            return Err(Error::shape(OP, &[outer, channels, inner], seen.shape()));
        }
        in_order(OP, seen)?;
    }
    let wanted = dgamma.as_ref().map(|d| d.len());
    for len in wanted.into_iter().chain(dbeta.as_ref().map(|d| d.len())) {
        check_channels(channels, len)?;
    }
    if let Some(gamma) = &gamma {
        check_channels(channels, gamma.len())?;
    }
    if let Some(dx) = &dx {
        if dx.dim() != x.dim() {
            return Err(Error::shape(OP, x.shape(), dx.shape()));
        }
        in_order(OP, &dx.view())?;
    }

    let gate = |y, dout| dout * activation.derivative(activation.value(y));
    let mut sums = std::mem::take(&mut cache.sums);
    let mut scratch = std::mem::take(&mut cache.scratch);
    let (sum, dot) = sums.split_at_mut(channels);
    let result = channel_sum_and_dot(x, affine(cache), dout, gate, [sum, dot], &mut scratch);
    (cache.sums, cache.scratch) = (sums, scratch);
    result?;

    let n = (outer * inner) as f64;
    let mut pqr = std::mem::take(&mut cache.pqr);
    for c in 0..channels {
        let (mu, inv_std) = (cache.mu[c], cache.inv_std[c]);
        let residue = mu - cache.center[c].as_f64();
        // Σ dout·(x − mu), from Σ dout·(x − center).
        let (sum, dot) = (
            cache.sums[c],
            cache.sums[channels + c] - residue * cache.sums[c],
        );
        if let Some(dgamma) = &mut dgamma {
            dgamma[c] = T::from_f64(dot * inv_std);
        }
        if let Some(dbeta) = &mut dbeta {
            dbeta[c] = T::from_f64(sum);
        }
        // dx = p·dout + q·(x − center) + r
        let p = at(&gamma, c, 1.0) * inv_std;
        let (q, r) = if cache.of_batch {
            let q = -p * inv_std * inv_std * dot / n;
            (q, -p * sum / n - q * residue)
        } else {
            (0.0, 0.0)
        };
        for (values, value) in pqr.iter_mut().zip([p, q, r]) {
            values[c] = T::from_f64(value);
        }
    }
    cache.pqr = pqr;
    let Some(dx) = dx else { return Ok(()) };
    let [p, q, r] = &cache.pqr;
    channel_combine(x, affine(cache), dout, gate, [p, q, r], dx)?;
    Ok(())
}

#[inline(always)]
fn at<T: Scalar>(values: &Option<ArrayView1<'_, T>>, c: usize, otherwise: f64) -> f64 {
    values.as_ref().map_or(otherwise, |v| v[c].as_f64())
}

/// Batch statistics need two values per channel.
pub(crate) fn check_count(outer: usize, inner: usize) -> Result<(), Error> {
    let layer = "BatchNormalization";
    match outer * inner {
        0 => Err(Error::EmptyBatch { layer }),
        1 => Err(Error::TooFewValues { layer, got: 1 }),
        _ => Ok(()),
    }
}

fn check_channels(expected: usize, got: usize) -> Result<(), Error> {
    if expected == got {
        return Ok(());
    }
    Err(Error::shape("BatchNormalization", &[expected], &[got]))
}

fn check_forward<T>(
    x: (usize, usize, usize),
    gamma: &Option<ArrayView1<'_, T>>,
    beta: &Option<ArrayView1<'_, T>>,
    y: (usize, usize, usize),
) -> Result<(), Error> {
    for v in [gamma, beta].into_iter().flatten() {
        check_channels(x.1, v.len())?;
    }
    if x != y {
        let shape = |(o, c, i)| [o, c, i];
        return Err(Error::shape("BatchNormalization", &shape(x), &shape(y)));
    }
    Ok(())
}
