use crate::error::Error;
pub use bn_data::Targets;
use bn_tensor::Scalar;
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2};

/// A loss, averaged over the batch, and its gradient.
pub trait Loss<T: Scalar>: Send {
    /// Returns `Ok` if `t` fits an output of `rows` rows and `width` values. It is called before anything is
    /// computed.
    ///
    /// # Errors
    /// [`Error::Targets`], [`Error::LabelOutOfRange`].
    fn check(&self, rows: usize, width: usize, t: Targets<'_, T>) -> Result<(), Error>;

    /// The loss of the network's output `x: (N, E)`.
    ///
    /// # Errors
    /// What [`check`](Self::check) refuses.
    fn forward(&mut self, x: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<f64, Error>;

    /// Writes the gradient with respect to `x` to `dx: (N, E)`, for the `x` and `t` of the last
    /// [`forward`](Self::forward).
    ///
    /// # Errors
    /// What [`check`](Self::check) refuses.
    fn backward_into(
        &self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        dx: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error>;

    /// The class that an output row of a network trained with this loss predicts, for accuracies: by default
    /// that of the largest value. `None` for a row with a NaN.
    fn class_of(&self, y: ArrayView1<'_, T>) -> Option<usize> {
        arg_max(y)
    }
}

/// The index of the largest value; `None` for a row with a NaN.
pub(crate) fn arg_max<T: Scalar>(row: ArrayView1<'_, T>) -> Option<usize> {
    if row.iter().any(|v| v.is_nan()) {
        return None;
    }
    let mut values = row.iter().enumerate();
    let first = values.next()?;
    let largest = values.fold(first, |best, v| if v.1 > best.1 { v } else { best });
    Some(largest.0)
}

/// Returns `Ok` if `dx` and the last forward pass have the shape of `x`.
pub(crate) fn check_backward<T>(
    loss: &'static str,
    x: (usize, usize),
    last: (usize, usize),
    dx: &ArrayViewMut2<'_, T>,
) -> Result<(), Error> {
    for got in [last, dx.dim()] {
        if got != x {
            let (expected, got) = ([x.0, x.1], [got.0, got.1]);
            return Err(bn_tensor::Error::shape(loss, &expected, &got).into());
        }
    }
    Ok(())
}
