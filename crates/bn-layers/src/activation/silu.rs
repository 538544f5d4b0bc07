use super::definition::Activation;
use crate::spec::LayerSpec;
use bn_tensor::Scalar;

/// `y = x·sigmoid(x)`, also called swish (arXiv:1702.03118).
///
/// Shapes: any `(N, D)`. Train and Eval do the same.
///
/// ```
/// use bn_layers::{LayerExt, Mode, Silu};
/// let y = Silu.forward(ndarray::array![[0.0, 1.0f64]].view(), Mode::Train)?;
/// assert!(y[[0, 0]] == 0.0 && (y[[0, 1]] - 0.731_058_6).abs() < 1e-7);
/// # Ok::<(), bn_layers::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Silu;

impl Activation for Silu {
    #[inline(always)]
    fn value<T: Scalar>(&self, x: T) -> T {
        x / (T::one() + (-x).exp())
    }

    #[inline(always)]
    fn derivative<T: Scalar>(&self, x: T, y: T) -> T {
        // sigmoid·(1 + x·(1 − sigmoid)), where x·sigmoid = y
        let sigmoid = T::one() / (T::one() + (-x).exp());
        sigmoid + y * (T::one() - sigmoid)
    }

    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new("Silu", ()))
    }
}
