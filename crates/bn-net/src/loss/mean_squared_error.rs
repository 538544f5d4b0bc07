use super::difference::{DifferenceFunction, DifferenceLoss};
use bn_tensor::Scalar;

/// The mean squared error, for regression.
///
/// ```text
/// loss = Σ (x − t)²/(N·E)        x, t: (N, E)
/// dx   = 2·(x − t)/(N·E)
/// ```
///
/// The mean over all values, as `torch.nn.MSELoss` and Keras' `MeanSquaredError`. With
/// [`Reduction::Sum`](super::Reduction::Sum) nothing is divided. (The book's `mean_squared_error`,
/// `common/functions.py`, is half the sum.)
///
/// ```
/// use bn_net::{Loss, MeanSquaredError};
/// use ndarray::array;
/// let (x, t) = (array![[1.0, 2.0]], array![[0.0, 4.0]]);
/// let loss = MeanSquaredError::new().forward(x.view(), t.view().into())?;
/// assert_eq!(loss, 2.5);
/// # Ok::<(), bn_net::Error>(())
/// ```
///
/// # Errors
/// [`Error::Targets`](crate::Error::Targets) for labels, or for values of another shape.
pub type MeanSquaredError = DifferenceLoss<SquaredError>;

/// The book's name of the [`MeanSquaredError`] of an identity output layer.
pub type IdentityWithLoss = MeanSquaredError;

/// The function of [`MeanSquaredError`].
#[derive(Debug, Clone, Copy, Default)]
pub struct SquaredError;

impl DifferenceFunction for SquaredError {
    const NAME: &'static str = "MeanSquaredError";
    const FACTOR: f64 = 2.0;

    fn value(&self, d: f64) -> f64 {
        d.powi(2)
    }

    fn slope<T: Scalar>(&self, d: T) -> T {
        d
    }
}

impl MeanSquaredError {
    /// The mean over all values.
    pub fn new() -> Self {
        Self::default()
    }
}
