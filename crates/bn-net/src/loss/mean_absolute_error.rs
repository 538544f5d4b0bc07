use super::difference::{DifferenceFunction, DifferenceLoss};
use bn_tensor::Scalar;

/// The mean absolute error, for regression with outliers.
///
/// ```text
/// loss = Σ |x − t|/(N·E)         x, t: (N, E)
/// dx   = sign(x − t)/(N·E)       sign(0) = 0
/// ```
///
/// The mean over all values, as `torch.nn.L1Loss` and Keras' `MeanAbsoluteError`. With
/// [`Reduction::Sum`](super::Reduction::Sum) nothing is divided.
///
/// ```
/// use bn_net::{Loss, MeanAbsoluteError};
/// use ndarray::array;
/// let (x, t) = (array![[1.0, 2.0]], array![[0.0, 4.0]]);
/// let loss = MeanAbsoluteError::new().forward(x.view(), t.view().into())?;
/// assert_eq!(loss, 1.5);
/// # Ok::<(), bn_net::Error>(())
/// ```
///
/// # Errors
/// [`Error::Targets`](crate::Error::Targets) for labels, or for values of another shape.
pub type MeanAbsoluteError = DifferenceLoss<AbsoluteError>;

/// The function of [`MeanAbsoluteError`].
#[derive(Debug, Clone, Copy, Default)]
pub struct AbsoluteError;

impl DifferenceFunction for AbsoluteError {
    const NAME: &'static str = "MeanAbsoluteError";

    fn value(&self, d: f64) -> f64 {
        d.abs()
    }

    fn slope<T: Scalar>(&self, d: T) -> T {
        // `signum` of 0 is 1.
        if d == T::zero() { d } else { d.signum() }
    }
}

impl MeanAbsoluteError {
    /// The mean over all values.
    pub fn new() -> Self {
        Self::default()
    }
}
