use super::config::BatchNormConfig;
use crate::error::Error;
use bn_tensor::{Moments, Scalar, try_zeros};
use ndarray::Array1;

/// Running mean and variance of each channel. The caller owns them;
/// [`batch_norm_train`](crate::batch_norm_train) updates them.
#[derive(Debug, Clone, PartialEq)]
pub struct RunningStats<T> {
    /// Running mean of each channel, `(C)`; starts at 0.
    pub mean: Array1<T>,
    /// Running variance of each channel, `(C)`.
    pub var: Array1<T>,
    /// The number of batches seen.
    pub updates: u64,
}

impl<T: Scalar> RunningStats<T> {
    /// Creates the statistics before the first batch.
    ///
    /// # Errors
    /// [`bn_tensor::Error::TooLarge`] if there is no memory for so many channels.
    pub fn new(channels: usize, config: &BatchNormConfig) -> Result<Self, Error> {
        let what = "RunningStats::new";
        let mut var = try_zeros(what, channels)?;
        var.fill(T::from_f64(config.initial_running_var));
        Ok(Self {
            mean: try_zeros(what, channels)?,
            var,
            updates: 0,
        })
    }

    /// Updates mean and variance by those of a batch: `running += share·(batch − running)`.
    ///
    /// # Errors
    /// [`Error::Tensor`] if `batch` has a different number of channels, [`Error::TooFewValues`] if it
    /// has too few values for a variance, [`Error::Statistics`] if a mean or variance is not finite
    /// in `T`. On an error, nothing has changed.
    pub fn update(&mut self, batch: &Moments, config: &BatchNormConfig) -> Result<(), Error> {
        if batch.channels() != self.mean.len() || self.mean.len() != self.var.len() {
            let (expected, got) = ([self.mean.len()], [batch.channels()]);
            return Err(Error::shape("RunningStats::update", &expected, &got));
        }
        check::<T>(batch, config)?;
        self.update_checked(batch, config);
        Ok(())
    }

    /// As [`update`](Self::update), with statistics that have been [checked](check).
    pub(super) fn update_checked(&mut self, batch: &Moments, config: &BatchNormConfig) {
        let share = config.running.share(self.updates);
        let update = |r: &mut T, b: f64| *r = T::from_f64(r.as_f64() * (1.0 - share) + b * share);
        let mean = self.mean.iter_mut().zip(batch.mean());
        mean.for_each(|(r, &b)| update(r, b));
        let (var, divisor) = (self.var.iter_mut().zip(batch.m2()), divisor(batch, config));
        var.for_each(|(r, m2)| update(r, m2 / divisor));
        self.updates = self.updates.saturating_add(1);
    }
}

/// Checks that there are enough values for a variance, and that `T` can hold the mean and the
/// variance of each channel, and therefore any average of them.
pub(super) fn check<T: Scalar>(batch: &Moments, config: &BatchNormConfig) -> Result<(), Error> {
    let divisor = divisor(batch, config);
    if divisor == 0.0 {
        let (layer, got) = ("BatchNormalization", batch.count() as usize);
        return Err(Error::TooFewValues { layer, got });
    }
    let check = |what, channel, value: f64| {
        if value.abs() <= T::max_value().as_f64() {
            return Ok(());
        }
        Err(Error::Statistics {
            what,
            channel,
            value,
            scalar: std::any::type_name::<T>(),
        })
    };
    for (c, (&mean, m2)) in batch.mean().iter().zip(batch.m2()).enumerate() {
        check("mean", c, mean)?;
        check("variance", c, m2 / divisor)?;
    }
    Ok(())
}

/// The divisor of m2 for the running variance: the number of values per channel, or one less.
fn divisor(batch: &Moments, config: &BatchNormConfig) -> f64 {
    let less = u64::from(config.unbiased_running_var);
    batch.count().saturating_sub(less) as f64
}
