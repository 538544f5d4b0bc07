use super::difference::{DifferenceFunction, DifferenceLoss};
use crate::error::Error;
use bn_tensor::{Scalar, check_setting};

/// The Huber loss, for regression with outliers: squared for small differences, linear for large ones.
///
/// ```text
/// d    = x − t                                    x, t: (N, E)
/// f(d) = d²/2  if |d| ≤ δ,  else δ·(|d| − δ/2)
/// loss = Σ f(d)/(N·E)
/// dx   = min(max(d, −δ), δ)/(N·E)
/// ```
///
/// The mean over all values, as `torch.nn.HuberLoss` and Keras' `Huber`, whose δ is 1 by default, as here.
/// With [`Reduction::Sum`](super::Reduction::Sum) nothing is divided.
///
/// ```
/// use bn_net::{Huber, Loss};
/// use ndarray::array;
/// let (x, t) = (array![[1.0, 2.0]], array![[0.0, 7.0]]);
/// let loss = Huber::new(2.0)?.forward(x.view(), t.view().into())?;
/// assert_eq!(loss, (0.5 + 2.0 * (5.0 - 1.0)) / 2.0);
/// # Ok::<(), bn_net::Error>(())
/// ```
///
/// # Errors
/// [`Error::Targets`](crate::Error::Targets) for labels, or for values of another shape.
pub type Huber = DifferenceLoss<HuberFunction>;

/// The function of [`Huber`].
#[derive(Debug, Clone, Copy)]
pub struct HuberFunction {
    delta: f64,
}

impl Default for HuberFunction {
    fn default() -> Self {
        Self { delta: 1.0 }
    }
}

impl DifferenceFunction for HuberFunction {
    const NAME: &'static str = "Huber";

    fn value(&self, d: f64) -> f64 {
        if d.abs() > self.delta {
            self.delta * (d.abs() - 0.5 * self.delta)
        } else {
            0.5 * d * d
        }
    }

    fn slope<T: Scalar>(&self, d: T) -> T {
        let delta = T::from_f64(self.delta);
        // A NaN stays a NaN, which `min` and `max` would replace by a bound.
        if d > delta {
            delta
        } else if d < -delta {
            -delta
        } else {
            d
        }
    }
}

impl Huber {
    /// The mean over all values, for this δ.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] unless δ is finite and above 0.
    pub fn new(delta: f64) -> Result<Self, Error> {
        let passes = delta.is_finite() && delta > 0.0;
        check_setting("Huber's delta", "a finite number above 0", delta, passes)?;
        let mut loss = Self::default();
        loss.function = HuberFunction { delta };
        Ok(loss)
    }
}
