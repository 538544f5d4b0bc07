use crate::{error::Error, metric::Metric};
use bn_data::Targets;
use bn_tensor::Scalar;
use ndarray::{ArrayView2, ArrayViewMut2};

/// A loss of a batch and its gradient: a mean over the batch, or a sum if the user has chosen that.
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

    /// The weight of these rows in a mean over several batches: the number that [`forward`](Self::forward)
    /// divides by, or a constant multiple of it. It is 1 for a loss that is a sum. By default it is the number
    /// of rows. `t` has passed [`check`](Self::check).
    ///
    /// Losses and gradients of a batch that is cut into parts combine exactly:
    ///
    /// ```text
    /// loss     = Σᵢ weightᵢ·lossᵢ / weight            i: a part of the batch
    /// gradient = Σᵢ weightᵢ·gradientᵢ / weight        weight: that of the whole batch
    /// ```
    ///
    /// A batch of weight 0, such as one whose labels are all ignored, has a loss and a gradient of 0.
    ///
    /// ```
    /// use bn_net::{Loss, SoftmaxWithLoss};
    /// use ndarray::{array, s};
    /// let x = array![[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]];
    /// let labels = [0, 1, 9];
    /// let mut loss = SoftmaxWithLoss::<f64>::new().with_ignored_label(9);
    /// let whole = loss.forward(x.view(), (&labels[..]).into())?;
    /// let mut sum = 0.0;
    /// for (rows, labels) in [(s![..1, ..], &labels[..1]), (s![1.., ..], &labels[1..])] {
    ///     let part = loss.forward(x.slice(rows), labels.into())?;
    ///     sum += loss.weight(labels.len(), 2, labels.into()) * part;
    /// }
    /// let weight = loss.weight(3, 2, (&labels[..]).into());
    /// assert_eq!(weight, 2.0); // two rows count
    /// assert!((sum / weight - whole).abs() < 1e-15);
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    fn weight(&self, rows: usize, width: usize, t: Targets<'_, T>) -> f64 {
        let _ = (width, t);
        rows as f64
    }

    /// Whether the loss is a sum: then the losses and gradients of the parts of a batch add up, without
    /// weights. By default it is a mean.
    fn is_sum(&self) -> bool {
        false
    }

    /// The metrics that describe a network trained with this loss, for reports in which the user has chosen none.
    /// By default there are none.
    ///
    /// ```
    /// use bn_net::{Loss, MeanSquaredError};
    /// let metrics = Loss::<f32>::metrics(&MeanSquaredError::new());
    /// let names: Vec<String> = metrics.iter().map(|metric| metric.name()).collect();
    /// assert_eq!(names, ["MAE", "R2"]);
    /// ```
    fn metrics(&self) -> Vec<Box<dyn Metric<T>>> {
        Vec::new()
    }
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
