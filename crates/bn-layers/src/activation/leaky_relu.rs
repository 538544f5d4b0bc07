use super::definition::Activation;
use crate::{error::Error, spec::LayerSpec};
use bn_tensor::{Scalar, check_setting};

/// `y = x` where `x > 0` and `slope·x` elsewhere (Maas, Hannun and Ng, 2013).
///
/// Shapes: any `(N, D)`. Train and Eval are the same. At the kink `x = 0` the derivative is
/// `slope`, as in PyTorch. A NaN stays NaN.
///
/// ```
/// use bn_layers::{LayerExt, LeakyRelu, Mode};
/// let y = LeakyRelu::new(0.2)?.forward(ndarray::array![[-1.0, 2.0]].view(), Mode::Train)?;
/// assert_eq!(y, ndarray::array![[-0.2, 2.0]]);
/// # Ok::<(), bn_layers::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct LeakyRelu {
    slope: f64,
}

impl LeakyRelu {
    /// Creates the activation with `slope` for negative values: 0.01 in PyTorch, 0.2 in DCGAN.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] unless `0 ≤ slope ≤ 1`. The backward pass finds the sign
    /// of the input from the output.
    pub fn new(slope: f64) -> Result<Self, Error> {
        let passes = (0.0..=1.0).contains(&slope);
        check_setting("LeakyRelu's slope", "between 0 and 1", slope, passes)?;
        Ok(Self { slope })
    }

    pub(crate) fn slope(self) -> f64 {
        self.slope
    }
}

impl Activation for LeakyRelu {
    const IN_OUTPUT: bool = true;

    #[inline(always)]
    fn value<T: Scalar>(&self, x: T) -> T {
        // Computes both and selects one: a branch on random signs took five times as long.
        let leak = T::from_f64(self.slope) * x;
        if x > T::zero() { x } else { leak }
    }
    #[inline(always)]
    fn derivative<T: Scalar>(&self, _: T, y: T) -> T {
        let slope = T::from_f64(self.slope);
        if y > T::zero() { T::one() } else { slope }
    }
    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new("LeakyRelu", self.slope))
    }
}
