//! What the losses of regressions share.

use super::{
    definition::{Loss, check_backward},
    reduction::Reduction,
};
use crate::{
    error::Error,
    metric::{Mae, Metric, R2Score},
    targets::check_values,
};
use bn_data::Targets;
use bn_tensor::Scalar;
use ndarray::{ArrayView2, ArrayViewMut2, Zip};
use std::fmt::Debug;

/// A loss that is the mean or the sum of a function of each difference `d = x − t`:
/// [`MeanSquaredError`](super::MeanSquaredError), [`MeanAbsoluteError`](super::MeanAbsoluteError) or
/// [`Huber`](super::Huber).
///
/// ```text
/// loss = Σ f(x − t)/(N·E)        x, t: (N, E)
/// dx   = f′(x − t)/(N·E)
/// ```
///
/// With [`Reduction::Sum`] nothing is divided.
#[derive(Debug, Clone, Default)]
pub struct DifferenceLoss<F> {
    pub(super) function: F,
    reduction: Reduction,
    last: (usize, usize), // (N, E) of the last forward pass
}

/// The function of a [`DifferenceLoss`].
pub trait DifferenceFunction: Debug + Clone + Send + Sync + 'static {
    #[doc(hidden)]
    const NAME: &'static str;
    /// The derivative is this constant times [`slope`](Self::slope).
    #[doc(hidden)]
    const FACTOR: f64 = 1.0;
    #[doc(hidden)]
    fn value(&self, d: f64) -> f64;
    #[doc(hidden)]
    fn slope<T: Scalar>(&self, d: T) -> T;
}

impl<F: DifferenceFunction> DifferenceLoss<F> {
    /// The same with another reduction. The default is the mean.
    #[must_use]
    pub fn with_reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }
}

impl<T: Scalar, F: DifferenceFunction> Loss<T> for DifferenceLoss<F> {
    fn check(&self, rows: usize, width: usize, t: Targets<'_, T>) -> Result<(), Error> {
        check_values(F::NAME, (rows, width), t).map(|_| ())
    }

    fn forward(&mut self, x: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<f64, Error> {
        let t = check_values(F::NAME, x.dim(), t)?;
        self.last = x.dim();
        let differences = x.iter().zip(t).map(|(x, t)| x.as_f64() - t.as_f64());
        let sum = differences.map(|d| self.function.value(d)).sum();
        Ok(self.reduction.reduce(sum, x.len() as f64))
    }

    fn backward_into(
        &self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        dx: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        check_backward(F::NAME, x.dim(), self.last, &dx)?;
        let t = check_values(F::NAME, x.dim(), t)?;
        let scale = T::from_f64(self.reduction.reduce(F::FACTOR, x.len() as f64));
        Zip::from(dx)
            .and(x)
            .and(t)
            .for_each(|dx, &x, &t| *dx = scale * self.function.slope(x - t));
        Ok(())
    }

    fn weight(&self, rows: usize, _: usize, _: Targets<'_, T>) -> f64 {
        self.reduction.weight(rows as f64)
    }

    /// The mean absolute error and R².
    fn metrics(&self) -> Vec<Box<dyn Metric<T>>> {
        vec![Box::new(Mae::new()), Box::new(R2Score::new())]
    }

    fn is_sum(&self) -> bool {
        self.reduction == Reduction::Sum
    }
}
