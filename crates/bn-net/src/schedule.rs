use crate::error::Error;
use bn_tensor::check_setting;
use serde::{Serialize, Serializer};
use std::{f64::consts::PI, fmt, sync::Arc};

/// The learning rate of each step t = 0, 1, 2, …
///
/// ```
/// use bn_net::Schedule;
/// let schedule = Schedule::WarmUp {
///     steps: 4,
///     start_factor: 0.5,
///     then: Box::new(Schedule::Constant { lr: 2.0 }),
/// };
/// let rates: Vec<f64> = (0..6).map(|t| schedule.learning_rate(t)).collect();
/// assert_eq!(rates, [1.0, 1.25, 1.5, 1.75, 2.0, 2.0]);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Schedule {
    /// Always `lr`.
    Constant {
        /// The learning rate.
        lr: f64,
    },
    /// `lr·gamma^⌊t/step_size⌋` (`torch.optim.lr_scheduler.StepLR`).
    Step {
        /// The first learning rate.
        lr: f64,
        /// The number of steps between two changes, at least 1.
        step_size: u64,
        /// The factor of a change, from 0 to 1.
        gamma: f64,
    },
    /// `min_lr + (lr − min_lr)·(1 + cos(π·t/steps))/2` for `t < steps`, and then `min_lr`
    /// (arXiv:1608.03983, without restarts).
    Cosine {
        /// The first learning rate.
        lr: f64,
        /// The number of steps until `min_lr`, at least 1.
        steps: u64,
        /// The last learning rate.
        min_lr: f64,
    },
    /// Cosines from `lr` to `min_lr`, each from the start again: the first over `steps` steps, each of the
    /// others over `factor` times as many as the one before (arXiv:1608.03983,
    /// `torch.optim.lr_scheduler.CosineAnnealingWarmRestarts`).
    Restarts {
        /// The first learning rate of each cosine.
        lr: f64,
        /// The number of steps of the first cosine, at least 1.
        steps: u64,
        /// How much longer each cosine is than the one before, at least 1.
        factor: u64,
        /// What each cosine falls to.
        min_lr: f64,
    },
    /// One cycle (arXiv:1708.07120, `torch.optim.lr_scheduler.OneCycleLR`): a cosine from `max_lr / 25` up to
    /// `max_lr` in the first 30 % of `steps`, and one down to `max_lr / 250,000` in the rest. The momentum
    /// does not change.
    OneCycle {
        /// The highest learning rate.
        max_lr: f64,
        /// The number of all steps, at least 1. Later steps have the last learning rate.
        steps: u64,
    },
    /// What the function returns for t; see [`Schedule::function`].
    Function(ScheduleFunction),
    /// `then`, multiplied by a factor that rises linearly from `start_factor` to 1 over `steps` steps
    /// (`torch.optim.lr_scheduler.LinearLR`).
    WarmUp {
        /// The number of steps until the whole learning rate; 0 for no warm-up.
        steps: u64,
        /// The first factor, from 0 to 1.
        start_factor: f64,
        /// The schedule that is multiplied.
        then: Box<Schedule>,
    },
}

/// A function from a step to its learning rate. Clones are equal.
#[derive(Clone)]
pub struct ScheduleFunction(Arc<dyn Fn(u64) -> f64 + Send + Sync>);

impl fmt::Debug for ScheduleFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScheduleFunction")
    }
}

/// All functions are written alike.
impl Serialize for ScheduleFunction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit_struct("ScheduleFunction")
    }
}

impl PartialEq for ScheduleFunction {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Schedule {
    /// The learning rate that `f` returns for each step. The optimizer refuses one that is negative or not
    /// finite.
    ///
    /// ```
    /// use bn_net::Schedule;
    /// let schedule = Schedule::function(|t| 0.1 / (1.0 + t as f64).sqrt());
    /// assert_eq!(schedule.learning_rate(3), 0.05);
    /// ```
    pub fn function(f: impl Fn(u64) -> f64 + Send + Sync + 'static) -> Self {
        Self::Function(ScheduleFunction(Arc::new(f)))
    }

    /// The learning rate of step `t`.
    pub fn learning_rate(&self, t: u64) -> f64 {
        match *self {
            Self::Constant { lr } => lr,
            Self::Step {
                lr,
                step_size,
                gamma,
            } => lr * gamma.powf((t / step_size.max(1)) as f64),
            Self::Cosine { lr, steps, min_lr } => cosine(lr, min_lr, share(t, steps)),
            Self::Restarts {
                lr,
                steps,
                factor,
                min_lr,
            } => {
                let (mut t, mut steps) = (t, steps.max(1));
                while t >= steps {
                    t -= steps;
                    match factor {
                        0 | 1 => t %= steps,
                        _ => steps = steps.saturating_mul(factor),
                    }
                }
                cosine(lr, min_lr, share(t, steps))
            }
            Self::OneCycle { max_lr, steps } => {
                let (first, last) = (max_lr / 25.0, max_lr / 25.0 / 1e4);
                let (t, top, end) = (t as f64, 0.3 * steps as f64 - 1.0, steps as f64 - 1.0);
                match t < top {
                    true => cosine(first, max_lr, t / top),
                    false => cosine(max_lr, last, ((t - top) / (end - top)).clamp(0.0, 1.0)),
                }
            }
            Self::Function(ref f) => (f.0)(t),
            Self::WarmUp {
                steps,
                start_factor,
                ref then,
            } => {
                let share = share(t, steps);
                then.learning_rate(t) * (start_factor + (1.0 - start_factor) * share)
            }
        }
    }

    /// Returns `Ok` if every number is in its range. The learning rate of every step is then finite, unless
    /// a [function](Self::function) returns another.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`].
    pub fn check(&self) -> Result<(), Error> {
        let not_negative = |what, value: f64| {
            let passes = value.is_finite() && value >= 0.0;
            check_setting(what, "a finite number, 0 or more", value, passes).map_err(Error::from)
        };
        let factor = |what, value: f64| {
            let passes = (0.0..=1.0).contains(&value);
            check_setting(what, "from 0 to 1", value, passes).map_err(Error::from)
        };
        let at_least_one = |what, value: u64| {
            check_setting(what, "at least 1", value as f64, value > 0).map_err(Error::from)
        };
        match *self {
            Self::Constant { lr } => not_negative("the learning rate", lr),
            Self::Step {
                lr,
                step_size,
                gamma,
            } => {
                not_negative("the learning rate", lr)?;
                at_least_one("step_size", step_size)?;
                factor("gamma of the schedule", gamma)
            }
            Self::Cosine { lr, steps, min_lr } => {
                not_negative("the learning rate", lr)?;
                at_least_one("steps of the schedule", steps)?;
                not_negative("min_lr", min_lr)
            }
            Self::Restarts {
                lr,
                steps,
                factor,
                min_lr,
            } => {
                not_negative("the learning rate", lr)?;
                at_least_one("steps of the schedule", steps)?;
                at_least_one("the factor of the restarts", factor)?;
                not_negative("min_lr", min_lr)
            }
            Self::OneCycle { max_lr, steps } => {
                not_negative("max_lr", max_lr)?;
                at_least_one("steps of the schedule", steps)
            }
            Self::Function(_) => Ok(()),
            Self::WarmUp {
                start_factor,
                ref then,
                ..
            } => {
                factor("start_factor", start_factor)?;
                then.check()
            }
        }
    }
}

/// Half a cosine from `start` to `end`, at this share of it.
fn cosine(start: f64, end: f64, share: f64) -> f64 {
    end + (start - end) * 0.5 * (1.0 + (PI * share).cos())
}

/// The share of `steps` steps that are done at step `t`, at most 1.
fn share(t: u64, steps: u64) -> f64 {
    match t < steps {
        true => t as f64 / steps as f64,
        false => 1.0,
    }
}
