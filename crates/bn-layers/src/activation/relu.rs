use super::definition::Activation;
use crate::spec::LayerSpec;
use bn_tensor::Scalar;

/// `y = max(x, 0)`, `dx = dout` where `x > 0` and 0 elsewhere. The book's `Relu`
/// (`common/layers.py`).
///
/// Shapes: any `(N, D)`. Train and Eval are the same. At the kink `x = 0` the derivative is 0, as
/// in the book and in PyTorch. A NaN stays NaN, so that it shows in the loss.
///
/// ```
/// use bn_layers::{LayerExt, Mode, Relu};
/// let y = Relu.forward(ndarray::array![[-1.0, 2.0]].view(), Mode::Train)?;
/// assert_eq!(y, ndarray::array![[0.0, 2.0]]);
/// # Ok::<(), bn_layers::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Relu;

impl Activation for Relu {
    const IN_OUTPUT: bool = true;

    #[inline(always)]
    fn value<T: Scalar>(&self, x: T) -> T {
        // Not `x.max(0)`, which turns a NaN into 0.
        if x < T::zero() { T::zero() } else { x }
    }
    #[inline(always)]
    fn derivative<T: Scalar>(&self, _: T, y: T) -> T {
        if y > T::zero() { T::one() } else { T::zero() }
    }
    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new("Relu", ()))
    }
}
