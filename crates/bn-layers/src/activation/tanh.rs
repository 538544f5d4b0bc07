use super::definition::Activation;
use crate::spec::LayerSpec;
use bn_tensor::Scalar;

/// `y = tanh(x)`, `dx = dout·(1 − y²)`.
///
/// Shapes: any `(N, D)`. Train and Eval are the same.
///
/// ```
/// use bn_layers::{LayerExt, Mode, Tanh};
/// let y = Tanh.forward(ndarray::array![[0.0, 100.0]].view(), Mode::Train)?;
/// assert_eq!(y, ndarray::array![[0.0, 1.0]]);
/// # Ok::<(), bn_layers::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Tanh;

impl Activation for Tanh {
    const IN_OUTPUT: bool = true;

    #[inline(always)]
    fn value<T: Scalar>(&self, x: T) -> T {
        x.tanh()
    }
    #[inline(always)]
    fn derivative<T: Scalar>(&self, _: T, y: T) -> T {
        T::one() - y * y
    }
    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new("Tanh", ()))
    }
}
