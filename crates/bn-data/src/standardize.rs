//! Each pixel to mean 0 and variance 1.

use ndarray::{ArrayView2, ArrayViewMut2};

use crate::Result;
use crate::columns::ColumnMoments;

/// Standardisation, `x = (x - mean) / std` for each pixel, by the mean and standard deviation of
/// the training set.
///
/// Fit it on the training set alone and apply it to every set: statistics of the test set would
/// tell the network what it is not to know, and statistics of their own would move the sets
/// against each other.
///
/// A pixel that is constant over the training set has no standard deviation to divide by; it is
/// divided by 1, so that it becomes 0 in the training set and keeps its difference from the
/// constant elsewhere (as scikit-learn's `StandardScaler` does). The variance is divided by N.
///
/// ```
/// use bn_data::Standardize;
/// use ndarray::array;
///
/// # fn main() -> bn_data::Result<()> {
/// let mut train = array![[1.0, 7.0], [3.0, 7.0]]; // the second pixel is constant
/// let mut test = array![[4.0, 8.0]];
/// let standardize = Standardize::fit(train.view())?;
/// standardize.apply(train.view_mut())?;
/// standardize.apply(test.view_mut())?;
/// assert_eq!(train, array![[-1.0, 0.0], [1.0, 0.0]]);
/// assert_eq!(test, array![[2.0, 1.0]]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Standardize {
    moments: ColumnMoments,
    std: Vec<f64>, // (D), 1 where the variance is 0
}

impl Standardize {
    /// Takes the mean and standard deviation of each column of `images` `(N, D)`.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`](crate::Error::Empty) without images,
    /// [`Error::NotFinite`](crate::Error::NotFinite) for a value that is infinite or NaN.
    pub fn fit(images: ArrayView2<'_, f32>) -> Result<Self> {
        let moments = ColumnMoments::of("Standardize::fit", images)?;
        let std = moments
            .var
            .iter()
            .map(|&var| if var == 0.0 { 1.0 } else { var.sqrt() })
            .collect();
        Ok(Standardize { moments, std })
    }

    /// Standardises `images` `(N, D)` in place.
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`](crate::Error::ShapeMismatch) for another D than that of the
    /// training set, [`Error::NotFinite`](crate::Error::NotFinite); the images then are as they
    /// were.
    pub fn apply(&self, mut images: ArrayViewMut2<'_, f32>) -> Result<()> {
        self.moments.check("Standardize::apply", images.view())?;
        for mut image in images.outer_iter_mut() {
            for ((x, mean), std) in image.iter_mut().zip(&self.moments.mean).zip(&self.std) {
                *x = ((f64::from(*x) - mean) / std) as f32;
            }
        }
        Ok(())
    }

    /// The mean of each pixel over the training set: `(D)`.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.moments.mean
    }

    /// What each pixel is divided by: its standard deviation over the training set, or 1 if that
    /// is 0: `(D)`.
    #[must_use]
    pub fn std(&self) -> &[f64] {
        &self.std
    }
}
