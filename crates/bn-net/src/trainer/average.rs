use crate::{error::Error, network::Network};
use bn_layers::LayerExt;
use bn_tensor::{Scalar, check_setting, update};

/// Averages a network's parameters and running statistics over training, because the average often
/// generalises better than the last values.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Averaging {
    /// An exponential moving average, `average = decay·average + (1 − decay)·value` after each step, from the
    /// values after the first step on (Keras' `use_ema`, PyTorch's `get_ema_multi_avg_fn`).
    Exponential {
        /// At least 0 and below 1, for example 0.999.
        decay: f64,
    },
    /// The mean of the values after step `start` and every `every` steps from there (stochastic weight
    /// averaging, arXiv:1803.05407). PyTorch's `AveragedModel` with `use_buffers=True`.
    Stochastic {
        /// The step of the first values, at least 1.
        start: u64,
        /// The number of steps between two values, at least 1.
        every: u64,
    },
}

impl Averaging {
    /// Returns `Ok` if every number is in its range.
    pub(super) fn check(self) -> Result<(), Error> {
        match self {
            Self::Exponential { decay } => {
                let passes = (0.0..1.0).contains(&decay);
                let what = "the decay of the averaging";
                Ok(check_setting(
                    what,
                    "at least 0 and below 1",
                    decay,
                    passes,
                )?)
            }
            Self::Stochastic { start, every } => {
                let passes = start > 0 && every > 0;
                let what = "start and every of the averaging";
                Ok(check_setting(
                    what,
                    "at least 1",
                    start.min(every) as f64,
                    passes,
                )?)
            }
        }
    }
}

/// An average of a network's values, as [`Averaging`] says.
///
/// ```
/// use bn_layers::LayerExt;
/// use bn_net::{Averaging, Network, WeightAverage};
/// let mut network = Network::builder(1).affine_without_bias(1).build(1)?;
/// let mut average = WeightAverage::new(Averaging::Stochastic { start: 1, every: 1 })?;
/// for (step, value) in [(1, 1.0), (2, 2.0), (3, 6.0)] {
///     network.visit_mut(&mut |p| p.value.fill(value)); // in place of a training step
///     average.update(step, &network)?;
/// }
/// average.swap(&mut network);
/// network.visit(&mut |p| assert_eq!(p.value, [3.0]));
/// # Ok::<(), bn_net::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct WeightAverage<T> {
    averaging: Averaging,
    values: Vec<T>, // of all parameters and buffers, one after another; empty at first
    count: u64,     // of the values averaged
}

impl<T: Scalar> WeightAverage<T> {
    /// An average of nothing yet.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for numbers out of range.
    pub fn new(averaging: Averaging) -> Result<Self, Error> {
        averaging.check()?;
        Ok(Self {
            averaging,
            values: Vec::new(),
            count: 0,
        })
    }

    /// Takes the values after step `step`, counted from 1, if they are part of the average.
    ///
    /// # Errors
    /// [`bn_tensor::Error::ShapeMismatch`] for a network of another size than before.
    pub fn update(&mut self, step: u64, network: &Network<T>) -> Result<(), Error> {
        let share = match self.averaging {
            Averaging::Exponential { decay } => 1.0 - decay,
            Averaging::Stochastic { start, every } => {
                let is_due = step >= start && (step - start).is_multiple_of(every);
                if !is_due {
                    return Ok(());
                }
                1.0 / (self.count + 1) as f64
            }
        };
        if self.count == 0 {
            network.copy_values(&mut self.values);
        } else {
            self.check_size(network)?;
            let (share, mut start, mut result) = (T::from_f64(share), 0, Ok(()));
            network.visit(&mut |p| {
                let end = start + p.value.len();
                let values = &mut self.values[start..end];
                if result.is_ok() {
                    result = update(values, p.value, |average, value| {
                        *average += share * (value - *average);
                    });
                }
                start = end;
            });
            result?;
        }
        self.count += 1;
        Ok(())
    }

    /// Exchanges the average and the network's values. A second call brings both back. Without an average
    /// yet, nothing happens.
    pub fn swap(&mut self, network: &mut Network<T>) {
        if self.count == 0 || self.check_size(network).is_err() {
            return;
        }
        let mut values = &mut self.values[..];
        network.visit_mut(&mut |p| {
            let (of_param, rest) = std::mem::take(&mut values).split_at_mut(p.value.len());
            of_param.swap_with_slice(p.value);
            values = rest;
        });
    }

    /// The averaged values, empty without any, and their number; for a checkpoint.
    pub(super) fn parts(&self) -> (&[T], u64) {
        (&self.values, self.count)
    }

    /// Continues from the [parts](Self::parts) of another average.
    pub(super) fn restore(&mut self, values: Vec<T>, count: u64) {
        (self.values, self.count) = (values, count);
    }

    fn check_size(&self, network: &Network<T>) -> Result<(), Error> {
        let (expected, got) = (self.values.len(), network.value_count());
        match expected == got {
            true => Ok(()),
            false => Err(bn_tensor::Error::shape("WeightAverage", &[expected], &[got]).into()),
        }
    }
}
