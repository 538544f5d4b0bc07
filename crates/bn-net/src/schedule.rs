use crate::error::Error;
use bn_tensor::check_setting;

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
#[derive(Debug, Clone, PartialEq)]
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
        /// Steps between two changes.
        step_size: u64,
        /// The factor of a change.
        gamma: f64,
    },
    /// `min_lr + (lr − min_lr)·(1 + cos(π·t/steps))/2`, and `min_lr` from `steps` on
    /// (arXiv:1608.03983, without restarts).
    Cosine {
        /// The first learning rate.
        lr: f64,
        /// Steps until `min_lr`.
        steps: u64,
        /// The last learning rate.
        min_lr: f64,
    },
    /// `then`, multiplied by a factor that rises from `start_factor` to 1 in a straight line over
    /// `steps` steps (`torch.optim.lr_scheduler.LinearLR`).
    WarmUp {
        /// Steps until the whole learning rate.
        steps: u64,
        /// The first factor.
        start_factor: f64,
        /// The learning rate that is warmed up to.
        then: Box<Schedule>,
    },
}

impl Schedule {
    /// The learning rate of step `t`.
    pub fn learning_rate(&self, t: u64) -> f64 {
        match *self {
            Self::Constant { lr } => lr,
            Self::Step {
                lr,
                step_size,
                gamma,
            } => lr * gamma.powf((t / step_size.max(1)) as f64),
            Self::Cosine { lr, steps, min_lr } => {
                let share = t.min(steps) as f64 / steps.max(1) as f64;
                min_lr + (lr - min_lr) * 0.5 * (1.0 + (std::f64::consts::PI * share).cos())
            }
            Self::WarmUp {
                steps,
                start_factor,
                ref then,
            } => {
                let share = t.min(steps) as f64 / steps.max(1) as f64;
                then.learning_rate(t) * (start_factor + (1.0 - start_factor) * share)
            }
        }
    }

    /// Whether every number is in its range.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`].
    pub fn check(&self) -> Result<(), Error> {
        let not_negative = |what, value: f64| {
            let passes = value.is_finite() && value >= 0.0;
            check_setting(what, "a finite number, 0 or more", value, passes).map_err(Error::from)
        };
        match *self {
            Self::Constant { lr } => not_negative("the learning rate", lr),
            Self::Step {
                lr,
                step_size,
                gamma,
            } => {
                not_negative("the learning rate", lr)?;
                check_setting("step_size", "at least 1", step_size as f64, step_size > 0)?;
                not_negative("gamma of the schedule", gamma)
            }
            Self::Cosine { lr, steps, min_lr } => {
                not_negative("the learning rate", lr)?;
                check_setting(
                    "steps of the schedule",
                    "at least 1",
                    steps as f64,
                    steps > 0,
                )?;
                not_negative("min_lr", min_lr)
            }
            Self::WarmUp {
                start_factor,
                ref then,
                ..
            } => {
                not_negative("start_factor", start_factor)?;
                then.check()
            }
        }
    }
}
