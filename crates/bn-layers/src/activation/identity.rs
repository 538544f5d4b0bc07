use super::definition::Activation;
use crate::spec::LayerSpec;
use bn_tensor::Scalar;

/// `y = x`, `dx = dout`: the book's output activation for regression (`identity_function`).
///
/// Shapes: any `(N, D)`. Train and Eval are the same.
///
/// ```
/// use bn_layers::{Identity, LayerExt, Mode};
/// let x = ndarray::array![[1.0, -2.0]];
/// assert_eq!(Identity.forward(x.view(), Mode::Train)?, x);
/// # Ok::<(), bn_layers::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Identity;

impl Activation for Identity {
    const IN_OUTPUT: bool = true;

    #[inline(always)]
    fn value<T: Scalar>(&self, x: T) -> T {
        x
    }
    #[inline(always)]
    fn derivative<T: Scalar>(&self, _: T, _: T) -> T {
        T::one()
    }
    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new("Identity", ()))
    }
}
