use crate::error::Error;
use bn_tensor::check_setting;
use serde::{Deserialize, Serialize};

/// How each batch updates the running statistics. Frameworks call the number "momentum" but mean
/// opposite things by it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum RunningAverage {
    /// `running = m·running + (1 − m)·batch`: the book (0.9) and Keras (0.99) *keep* the share m.
    Keep(f64),
    /// [`Keep`](Self::Keep), divided by `1 − mᵗ` after t batches, as Adam does (arXiv:1412.6980,
    /// section 3). This is an average of the batches only; the initial value has no influence. After
    /// one batch it equals the statistics of that batch.
    KeepCorrected(f64),
    /// `running = (1 − m)·running + m·batch`: PyTorch *adds* the share m (0.1).
    Add(f64),
    /// `running` is the plain average over all batches seen: the paper, and PyTorch with
    /// `momentum=None`.
    Cumulative,
}

impl RunningAverage {
    /// The share of the next batch in the average, after `updates` batches.
    pub(crate) fn share(self, updates: u64) -> f64 {
        match self {
            Self::Keep(momentum) => 1.0 - momentum,
            Self::KeepCorrected(momentum) => {
                (1.0 - momentum) / (1.0 - momentum.powf(updates as f64 + 1.0))
            }
            Self::Add(momentum) => momentum,
            Self::Cumulative => 1.0 / (updates as f64 + 1.0),
        }
    }
}

/// The settings of Batch Normalization. Frameworks disagree on most of them; each preset has the
/// settings of one source.
///
/// | | [`bias_corrected`](Self::bias_corrected) (default) | [`book`](Self::book) | [`paper`](Self::paper) | [`pytorch`](Self::pytorch) | [`keras`](Self::keras) |
/// |---|---|---|---|---|---|
/// | `running` | `KeepCorrected(0.9)` | `Keep(0.9)` | `Cumulative` | `Add(0.1)` | `Keep(0.99)` |
/// | `eps` | 1e-6 | 1e-6 | 1e-5 | 1e-5 | 1e-3 |
/// | variance that is averaged | biased | biased | unbiased | unbiased | biased |
/// | initial running variance | 1 | 0 | 1 | 1 | 1 |
///
/// The batch itself is always normalised by its biased variance.
///
/// The book's running variance starts at 0, so a network that has hardly been trained predicts
/// values a thousand times too large for each layer. The default is the book's preset with this
/// corrected.
///
/// ```
/// use bn_layers::BatchNormConfig;
/// let config = BatchNormConfig { eps: 1e-3, ..BatchNormConfig::pytorch() };
/// assert!(config.unbiased_running_var);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BatchNormConfig {
    /// How each batch updates the running statistics.
    pub running: RunningAverage,
    /// Added to the variance before the square root; greater than 0.
    pub eps: f64,
    /// Whether the running variance averages the unbiased variance of the batch, `Σ(x − μ)²/(N − 1)`.
    pub unbiased_running_var: bool,
    /// The initial running variance. The book's starts at 0 and is therefore too small by the factor
    /// `1 − 0.9ᵗ` after t updates.
    pub initial_running_var: f64,
    /// Whether gamma and beta are learned. If not, `y = xn`.
    pub affine: bool,
    /// Whether running statistics are kept. If not, evaluation normalises by its own batch.
    pub track_running_stats: bool,
}

impl BatchNormConfig {
    /// The book's settings, with bias-corrected running averages:
    ///
    /// ```text
    /// running = (1 − s)·running + s·batch     s = (1 − 0.9)/(1 − 0.9ᵗ), at the t-th batch
    /// ```
    ///
    /// After one batch, the running statistics are those of that batch. Before the first batch, the
    /// mean is 0 and the variance 1.
    pub fn bias_corrected() -> Self {
        Self {
            running: RunningAverage::KeepCorrected(0.9),
            initial_running_var: 1.0,
            ..Self::book()
        }
    }

    /// *Deep Learning from Scratch*, `common/layers.py`:
    ///
    /// ```text
    /// running_mean = 0.9·running_mean + 0.1·mu        starts at 0
    /// running_var  = 0.9·running_var  + 0.1·var       starts at 0, var biased, eps = 10e-7
    /// ```
    pub fn book() -> Self {
        Self {
            running: RunningAverage::Keep(0.9),
            eps: 1e-6,
            unbiased_running_var: false,
            initial_running_var: 0.0,
            affine: true,
            track_running_stats: true,
        }
    }

    /// arXiv:1502.03167, Algorithm 2, whose population statistics are averages over batches:
    ///
    /// ```text
    /// E[x]   = average of mu
    /// Var[x] = average of N/(N − 1)·var
    /// ```
    ///
    /// The paper does not specify eps; this preset uses 1e-5.
    pub fn paper() -> Self {
        Self {
            running: RunningAverage::Cumulative,
            eps: 1e-5,
            unbiased_running_var: true,
            initial_running_var: 1.0,
            ..Self::book()
        }
    }

    /// `torch.nn.BatchNorm1d` and `BatchNorm2d`:
    ///
    /// ```text
    /// running_mean = 0.9·running_mean + 0.1·mu               starts at 0
    /// running_var  = 0.9·running_var  + 0.1·N/(N − 1)·var    starts at 1, eps = 1e-5
    /// ```
    pub fn pytorch() -> Self {
        Self {
            running: RunningAverage::Add(0.1),
            eps: 1e-5,
            unbiased_running_var: true,
            initial_running_var: 1.0,
            ..Self::book()
        }
    }

    /// `keras.layers.BatchNormalization`:
    ///
    /// ```text
    /// moving_mean     = 0.99·moving_mean     + 0.01·mu       starts at 0
    /// moving_variance = 0.99·moving_variance + 0.01·var      starts at 1, var biased, eps = 1e-3
    /// ```
    pub fn keras() -> Self {
        Self {
            running: RunningAverage::Keep(0.99),
            eps: 1e-3,
            initial_running_var: 1.0,
            ..Self::book()
        }
    }

    /// Checks that every number is in its range.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] if one is not.
    pub fn check(&self) -> Result<(), Error> {
        let positive = self.eps.is_finite() && self.eps > 0.0;
        check_setting("eps", "a finite number above 0", self.eps, positive)?;
        let var = self.initial_running_var;
        let passes = var.is_finite() && var >= 0.0;
        check_setting(
            "initial_running_var",
            "a finite number, 0 or more",
            var,
            passes,
        )?;
        let what = "the running average's momentum";
        match self.running {
            RunningAverage::Keep(m) | RunningAverage::Add(m) => {
                check_setting(what, "between 0 and 1", m, (0.0..=1.0).contains(&m))?;
            }
            RunningAverage::KeepCorrected(m) => {
                check_setting(what, "at least 0 and below 1", m, (0.0..1.0).contains(&m))?;
            }
            RunningAverage::Cumulative => {}
        }
        Ok(())
    }
}

impl Default for BatchNormConfig {
    fn default() -> Self {
        Self::bias_corrected()
    }
}
