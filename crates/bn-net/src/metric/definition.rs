use crate::error::Error;
use bn_data::Targets;
use bn_tensor::Scalar;
use dyn_clone::DynClone;
use ndarray::ArrayView2;
use std::fmt::Debug;

/// A number computed over all examples of an evaluation, such as the accuracy.
///
/// The outputs arrive in batches of any size: the value is the same however the rows are cut into calls of
/// [`update`](Self::update).
///
/// ```
/// use bn_net::{Accuracy, Metric};
/// use ndarray::array;
/// let y = array![[0.1, 0.9], [0.8, 0.2], [0.7, 0.3]];
/// let mut accuracy: Box<dyn Metric<f64>> = Box::new(Accuracy::new());
/// accuracy.update(y.view(), (&[1, 0, 1][..]).into())?;
/// assert_eq!(accuracy.value(), 2.0 / 3.0);
/// accuracy.update(y.view(), (&[1, 0, 0][..]).into())?;
/// assert_eq!(accuracy.value(), 5.0 / 6.0);
/// // Of one array:
/// assert_eq!(Accuracy::new().evaluate(y.view(), (&[1, 0, 0][..]).into())?, 1.0);
/// # Ok::<(), bn_net::Error>(())
/// ```
pub trait Metric<T: Scalar>: Debug + DynClone + Send {
    /// Its name in reports: `accuracy`, `macro F1`.
    fn name(&self) -> String;

    /// Returns `Ok` if `t` fits outputs of `rows` rows and `width` values.
    ///
    /// # Errors
    /// [`Error::Targets`], [`Error::LabelOutOfRange`].
    fn check(&self, rows: usize, width: usize, t: Targets<'_, T>) -> Result<(), Error>;

    /// Forgets all rows.
    fn reset(&mut self);

    /// Adds the network's outputs of some rows `y: (N, E)`, and their targets.
    ///
    /// # Errors
    /// What [`check`](Self::check) refuses; then nothing is added.
    fn update(&mut self, y: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<(), Error>;

    /// The value over all rows since [`reset`](Self::reset); NaN if there are none.
    fn value(&self) -> f64;

    /// Whether a larger value is better, as for an accuracy. By default it is.
    fn higher_is_better(&self) -> bool {
        true
    }

    /// The value of the rows `y: (N, E)` alone.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    fn evaluate(mut self, y: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<f64, Error>
    where
        Self: Sized,
    {
        self.reset();
        self.update(y, t)?;
        Ok(self.value())
    }
}

dyn_clone::clone_trait_object!(<T> Metric<T> where T: Scalar);
