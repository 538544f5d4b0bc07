use super::history::Record;
use crate::error::Error;
use bn_tensor::check_setting;
use serde::{Deserialize, Serialize};

/// What decides whether an evaluation is better than the ones before it.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Monitor {
    /// The test loss, or without a test set the training loss. The lowest is the best.
    #[default]
    Loss,
    /// The metric of this name on the test set, or without one on the training set. Whether the highest or
    /// the lowest value is the best is a property of the metric.
    Metric(String),
}

/// Ends training when evaluations no longer improve.
///
/// ```
/// use bn_net::{EarlyStop, Monitor};
/// let stop = EarlyStop { patience: 5, restore_best: true, ..EarlyStop::default() };
/// assert_eq!((stop.min_delta, stop.monitor), (0.0, Monitor::Loss));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct EarlyStop {
    /// Training ends after this many evaluations in a row without an improvement. 0 counts as 1.
    pub patience: usize,
    /// A value is an improvement if it is better than the best one by more than this. At least 0 and finite.
    pub min_delta: f64,
    /// What must improve.
    pub monitor: Monitor,
    /// Whether the network gets the parameters and running statistics of the best evaluation at the end, also
    /// if training was not ended early.
    pub restore_best: bool,
}

impl Default for EarlyStop {
    /// After one evaluation without a lower loss; the last parameters are kept.
    fn default() -> Self {
        Self {
            patience: 1,
            min_delta: 0.0,
            monitor: Monitor::Loss,
            restore_best: false,
        }
    }
}

/// Multiplies the learning rate by a factor when evaluations no longer improve
/// (`torch.optim.lr_scheduler.ReduceLROnPlateau`, Keras' `ReduceLROnPlateau`). It applies to the learning
/// rate of the schedule, or without one to the optimizer's.
#[derive(Debug, Clone, PartialEq)]
pub struct ReduceOnPlateau {
    /// The factor, at least 0 and below 1.
    pub factor: f64,
    /// The learning rate is reduced after this many evaluations in a row without an improvement. 0 counts
    /// as 1.
    pub patience: usize,
    /// As of an [`EarlyStop`].
    pub min_delta: f64,
    /// What must improve.
    pub monitor: Monitor,
    /// The learning rate is not reduced below this.
    pub min_lr: f64,
}

impl Default for ReduceOnPlateau {
    /// A tenth after ten evaluations without a lower loss, as in PyTorch and Keras.
    fn default() -> Self {
        Self {
            factor: 0.1,
            patience: 10,
            min_delta: 0.0,
            monitor: Monitor::Loss,
            min_lr: 0.0,
        }
    }
}

impl EarlyStop {
    pub(super) fn check(&self) -> Result<(), Error> {
        check_not_negative("the min_delta of EarlyStop", self.min_delta)
    }
}

impl ReduceOnPlateau {
    pub(super) fn check(&self) -> Result<(), Error> {
        let passes = (0.0..1.0).contains(&self.factor);
        let what = "the factor of ReduceOnPlateau";
        check_setting(what, "at least 0 and below 1", self.factor, passes)?;
        check_not_negative("the min_delta of ReduceOnPlateau", self.min_delta)?;
        check_not_negative("the min_lr of ReduceOnPlateau", self.min_lr)
    }
}

fn check_not_negative(what: &'static str, value: f64) -> Result<(), Error> {
    let passes = value >= 0.0 && value.is_finite();
    Ok(check_setting(
        what,
        "a finite number, 0 or more",
        value,
        passes,
    )?)
}

/// The best value so far, and how many evaluations ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Best {
    value: Option<f64>,
    pub(super) evaluations_since: usize,
}

impl Best {
    /// Takes the evaluation, and returns whether it is the best so far.
    pub(super) fn improves(&mut self, record: &Record, monitor: &Monitor, min_delta: f64) -> bool {
        let (value, higher_is_better) = match monitor {
            Monitor::Loss => (Some(record.test_loss.unwrap_or(record.train_loss)), false),
            Monitor::Metric(name) => {
                let metric = record.metrics.iter().find(|metric| metric.name == *name);
                let value = metric.and_then(|metric| metric.test.or(metric.train));
                (value, metric.is_some_and(|metric| metric.higher_is_better))
            }
        };
        let is_better = value.is_some_and(|value| {
            self.value.is_none_or(|best| match higher_is_better {
                true => value > best + min_delta,
                false => value < best - min_delta,
            })
        });
        match is_better {
            true => (self.value, self.evaluations_since) = (value, 0),
            false => self.evaluations_since += 1,
        }
        is_better
    }
}
