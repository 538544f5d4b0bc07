use super::definition::Activation;
use crate::spec::LayerSpec;
use bn_tensor::Scalar;

/// `y = min(max(x, 0), 6)` (Krizhevsky, *Convolutional Deep Belief Networks on CIFAR-10*, 2010).
///
/// Shapes: any `(N, D)`. Train and Eval do the same. At the kinks `x = 0` and `x = 6` the derivative
/// is 0, as in PyTorch. A NaN stays NaN.
///
/// ```
/// use bn_layers::{LayerExt, Mode, Relu6};
/// let y = Relu6.forward(ndarray::array![[-1.0, 2.0, 7.0]].view(), Mode::Train)?;
/// assert_eq!(y, ndarray::array![[0.0, 2.0, 6.0]]);
/// # Ok::<(), bn_layers::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Relu6;

impl Activation for Relu6 {
    const IN_OUTPUT: bool = true;

    #[inline(always)]
    fn value<T: Scalar>(&self, x: T) -> T {
        let (zero, six) = (T::zero(), T::from_f64(6.0));
        // Not `clamp` by `max`, which turns a NaN into 0.
        if x <= zero {
            zero
        } else if x >= six {
            six
        } else {
            x
        }
    }

    #[inline(always)]
    fn derivative<T: Scalar>(&self, _: T, y: T) -> T {
        if y > T::zero() && y < T::from_f64(6.0) {
            T::one()
        } else {
            T::zero()
        }
    }

    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new("Relu6", ()))
    }
}
