use super::definition::Metric;
use crate::{error::Error, targets::check_values};
use bn_data::Targets;
use bn_tensor::Scalar;
use ndarray::ArrayView2;
use std::{fmt::Debug, marker::PhantomData};

/// An error of regressions that is a function of a mean over all values: [`Mae`], [`Mse`] or [`Rmse`].
///
/// Outputs and targets have the shape `(N, E)`. Smaller is better.
///
/// # Errors
/// [`Error::Targets`] for labels, or for values of another shape.
#[derive(Debug, Clone)]
pub struct MeanError<F> {
    sum: f64,
    count: u64,
    function: PhantomData<F>,
}

/// The function of a [`MeanError`].
pub trait ErrorFunction: Debug + Clone + Send {
    #[doc(hidden)]
    const NAME: &'static str;
    /// The error of a difference between output and target.
    #[doc(hidden)]
    fn error(difference: f64) -> f64;
    /// The value of the mean of all errors.
    #[doc(hidden)]
    fn value(mean: f64) -> f64 {
        mean
    }
}

impl<F> Default for MeanError<F> {
    fn default() -> Self {
        Self {
            sum: 0.0,
            count: 0,
            function: PhantomData,
        }
    }
}

impl<F> MeanError<F> {
    /// Creates the metric, without rows.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<T: Scalar, F: ErrorFunction> Metric<T> for MeanError<F> {
    fn name(&self) -> String {
        F::NAME.to_owned()
    }

    fn check(&self, rows: usize, width: usize, t: Targets<'_, T>) -> Result<(), Error> {
        check_values(F::NAME, (rows, width), t).map(|_| ())
    }

    fn reset(&mut self) {
        *self = Self::new();
    }

    fn update(&mut self, y: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<(), Error> {
        // Value by value, so that the sum does not depend on the cuts between calls.
        for (y, t) in y.iter().zip(check_values(F::NAME, y.dim(), t)?) {
            self.sum += F::error(y.as_f64() - t.as_f64());
        }
        self.count += y.len() as u64;
        Ok(())
    }

    fn value(&self) -> f64 {
        F::value(self.sum / self.count as f64)
    }

    fn higher_is_better(&self) -> bool {
        false
    }
}

/// The mean absolute error `Σ |y − t|/(N·E)`: scikit-learn's `mean_absolute_error`, Keras' `MeanAbsoluteError`.
///
/// ```
/// use bn_net::{Mae, Metric};
/// let (y, t) = (ndarray::array![[1.0], [2.0]], ndarray::array![[0.0], [5.0]]);
/// assert_eq!(Mae::new().evaluate(y.view(), t.view().into())?, 2.0);
/// # Ok::<(), bn_net::Error>(())
/// ```
pub type Mae = MeanError<OfMae>;

/// The mean squared error `Σ (y − t)²/(N·E)`: scikit-learn's `mean_squared_error`, Keras' `MeanSquaredError`.
///
/// ```
/// use bn_net::{Metric, Mse};
/// let (y, t) = (ndarray::array![[1.0], [2.0]], ndarray::array![[0.0], [5.0]]);
/// assert_eq!(Mse::new().evaluate(y.view(), t.view().into())?, 5.0);
/// # Ok::<(), bn_net::Error>(())
/// ```
pub type Mse = MeanError<OfMse>;

/// The root of the mean squared error `√(Σ (y − t)²/(N·E))`: Keras' `RootMeanSquaredError`, and for one output
/// scikit-learn's `root_mean_squared_error` (which averages the roots of several outputs).
///
/// ```
/// use bn_net::{Metric, Rmse};
/// let (y, t) = (ndarray::array![[1.0], [2.0]], ndarray::array![[0.0], [5.0]]);
/// assert_eq!(Rmse::new().evaluate(y.view(), t.view().into())?, 5f64.sqrt());
/// # Ok::<(), bn_net::Error>(())
/// ```
pub type Rmse = MeanError<OfRmse>;

/// The function of [`Mae`].
#[derive(Debug, Clone, Copy)]
pub enum OfMae {}

impl ErrorFunction for OfMae {
    const NAME: &'static str = "MAE";

    fn error(difference: f64) -> f64 {
        difference.abs()
    }
}

/// The function of [`Mse`].
#[derive(Debug, Clone, Copy)]
pub enum OfMse {}

impl ErrorFunction for OfMse {
    const NAME: &'static str = "MSE";

    fn error(difference: f64) -> f64 {
        difference.powi(2)
    }
}

/// The function of [`Rmse`].
#[derive(Debug, Clone, Copy)]
pub enum OfRmse {}

impl ErrorFunction for OfRmse {
    const NAME: &'static str = "RMSE";

    fn error(difference: f64) -> f64 {
        difference.powi(2)
    }

    fn value(mean: f64) -> f64 {
        mean.sqrt()
    }
}
