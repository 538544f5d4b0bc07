use super::definition::Activation;
use crate::spec::LayerSpec;
use bn_tensor::Scalar;

/// `y = 1/(1 + exp(−x))`, `dx = dout·y·(1 − y)`. The book's `Sigmoid` (`common/layers.py`).
///
/// Shapes: any `(N, D)`. Train and Eval are the same. Large |x| give exactly 0 or 1, not
/// NaN.
///
/// ```
/// use bn_layers::{LayerExt, Mode, Sigmoid};
/// let y = Sigmoid.forward(ndarray::array![[0.0, 1e4, -1e4]].view(), Mode::Train)?;
/// assert_eq!(y, ndarray::array![[0.5, 1.0, 0.0]]);
/// # Ok::<(), bn_layers::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Sigmoid;

impl Activation for Sigmoid {
    const IN_OUTPUT: bool = true;

    #[inline(always)]
    fn value<T: Scalar>(&self, x: T) -> T {
        T::one() / (T::one() + (-x).exp())
    }
    #[inline(always)]
    fn derivative<T: Scalar>(&self, _: T, y: T) -> T {
        y * (T::one() - y)
    }
    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new("Sigmoid", ()))
    }
}
