use super::definition::Activation;
use crate::spec::LayerSpec;
use bn_tensor::Scalar;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

/// The Gaussian error linear unit (arXiv:1606.08415): `y = x·Φ(x)`, where Φ is the cumulative
/// distribution function of the standard normal distribution.
///
/// ```text
/// exact (Gelu::new)    y = x/2·(1 + erf(x/√2))                               PyTorch's and Keras' default
/// Gelu::tanh           y = x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))         approximate="tanh" in PyTorch
/// ```
///
/// Shapes: any `(N, D)`. Train and Eval do the same.
///
/// ```
/// use bn_layers::{Gelu, LayerExt, Mode};
/// let y = Gelu::new().forward(ndarray::array![[1.0, -1.0]].view(), Mode::Train)?;
/// assert!((y[[0, 0]] - 0.841_344_7f64).abs() < 1e-7 && (y[[0, 1]] + 0.158_655_3).abs() < 1e-7);
/// # Ok::<(), bn_layers::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Gelu {
    is_approximate: bool,
}

impl Gelu {
    /// Creates the exact form.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates the approximation with tanh.
    pub fn tanh() -> Self {
        Self {
            is_approximate: true,
        }
    }

    pub(crate) fn from_settings(is_approximate: bool) -> Self {
        Self { is_approximate }
    }
}

/// `tanh(√(2/π)·(x + 0.044715·x³))` and the derivative of its argument.
fn approximation<T: Scalar>(x: T) -> (T, T) {
    let root = T::from_f64(FRAC_2_SQRT_PI * FRAC_1_SQRT_2); // √(2/π)
    let (cubic, one) = (T::from_f64(0.044715), T::one());
    let tanh = (root * x * (one + cubic * x * x)).tanh();
    (tanh, root * (one + T::from_f64(3.0) * cubic * x * x))
}

impl Activation for Gelu {
    #[inline(always)]
    fn value<T: Scalar>(&self, x: T) -> T {
        let half = T::from_f64(0.5);
        if self.is_approximate {
            let (tanh, _) = approximation(x);
            return half * x * (T::one() + tanh);
        }
        // 1 + erf(z) = erfc(−z), which keeps its digits for negative z.
        half * x * (-x * T::from_f64(FRAC_1_SQRT_2)).erfc()
    }

    #[inline(always)]
    fn derivative<T: Scalar>(&self, x: T, _: T) -> T {
        let (half, one) = (T::from_f64(0.5), T::one());
        if self.is_approximate {
            let (tanh, slope) = approximation(x);
            // Far from 0, tanh is ±1 and the slope may be infinite.
            let bend = if tanh.abs() == one {
                T::zero()
            } else {
                (one - tanh * tanh) * slope
            };
            return half * (one + tanh) + half * x * bend;
        }
        let density = T::from_f64(0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2) * (-half * x * x).exp();
        half * (-x * T::from_f64(FRAC_1_SQRT_2)).erfc() + x * density
    }

    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new("Gelu", self.is_approximate))
    }
}
