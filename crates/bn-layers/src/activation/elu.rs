use super::definition::Activation;
use crate::{error::Error, spec::LayerSpec};
use bn_tensor::{Scalar, check_setting};

/// The exponential linear unit (arXiv:1511.07289): `y = x` where `x > 0` and `alpha·(eˣ − 1)`
/// elsewhere.
///
/// Shapes: any `(N, D)`. Train and Eval do the same. At the kink `x = 0` the derivative is `alpha`,
/// as in PyTorch.
///
/// ```
/// use bn_layers::{Elu, LayerExt, Mode};
/// let y = Elu::new(1.0)?.forward(ndarray::array![[2.0, -1.0f64]].view(), Mode::Train)?;
/// assert!(y[[0, 0]] == 2.0 && (y[[0, 1]] + 0.632_120_6).abs() < 1e-7);
/// # Ok::<(), bn_layers::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Elu {
    alpha: f64,
}

impl Elu {
    /// Creates the activation with this `alpha`: 1 in PyTorch and Keras.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] unless `alpha` is finite and greater than 0. The backward
    /// pass finds the sign of the input from the output.
    pub fn new(alpha: f64) -> Result<Self, Error> {
        let passes = alpha.is_finite() && alpha > 0.0;
        check_setting("Elu's alpha", "finite and greater than 0", alpha, passes)?;
        Ok(Self { alpha })
    }
}

impl Activation for Elu {
    const IN_OUTPUT: bool = true;

    #[inline(always)]
    fn value<T: Scalar>(&self, x: T) -> T {
        if x > T::zero() {
            x
        } else {
            T::from_f64(self.alpha) * x.exp_m1()
        }
    }

    #[inline(always)]
    fn derivative<T: Scalar>(&self, _: T, y: T) -> T {
        if y > T::zero() {
            T::one()
        } else {
            y + T::from_f64(self.alpha)
        }
    }

    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new("Elu", self.alpha))
    }
}
