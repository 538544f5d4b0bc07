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
#[non_exhaustive]
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
                let share = share(t, steps);
                min_lr + (lr - min_lr) * 0.5 * (1.0 + (std::f64::consts::PI * share).cos())
            }
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

    /// Returns `Ok` if every number is in its range. The learning rate of every step is then finite.
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
        match *self {
            Self::Constant { lr } => not_negative("the learning rate", lr),
            Self::Step {
                lr,
                step_size,
                gamma,
            } => {
                not_negative("the learning rate", lr)?;
                check_setting("step_size", "at least 1", step_size as f64, step_size > 0)?;
                factor("gamma of the schedule", gamma)
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
                factor("start_factor", start_factor)?;
                then.check()
            }
        }
    }
}

/// The share of `steps` steps that are done at step `t`, at most 1.
fn share(t: u64, steps: u64) -> f64 {
    match t < steps {
        true => t as f64 / steps as f64,
        false => 1.0,
    }
}
