//! Scales each pixel to mean 0 and variance 1.

use bn_tensor::Scalar;
use ndarray::{ArrayView2, ArrayViewMut2};

use crate::{
    error::Result,
    statistics::{check_images, column_moments, standardize},
};

/// Standardisation, `x = (x - mean) / std` for each pixel, by the mean and standard deviation of
/// the training set.
///
/// Fit it on the training set only and apply it to every set. Statistics of the test set would leak
/// information to the network, and separate statistics would shift the sets against each other.
///
/// A pixel that is constant over the training set has a standard deviation of 0. It is divided by 1
/// instead, so that it becomes 0 in the training set and its difference from the constant in other
/// sets (as with scikit-learn's `StandardScaler`). The variance is divided by N.
///
/// ```
/// use bn_data::Standardize;
/// use ndarray::array;
///
/// # fn main() -> Result<(), bn_data::Error> {
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
    mean: Vec<f64>, // (D)
    std: Vec<f64>,  // (D), 1 where the variance is 0
}

impl Standardize {
    /// Computes the mean and standard deviation of each column of `images` `(N, D)`.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`](crate::Error::Empty) without images,
    /// [`Error::NotFinite`](crate::Error::NotFinite) for a value that is infinite or NaN.
    pub fn fit<T: Scalar>(images: ArrayView2<'_, T>) -> Result<Self> {
        let moments = column_moments("Standardize::fit", images)?;
        let n = moments.count() as f64;
        let std = |&m2: &f64| match m2 {
            0.0 => 1.0,
            m2 => (m2 / n).sqrt(),
        };
        Ok(Standardize {
            mean: moments.mean().to_vec(),
            std: moments.m2().iter().map(std).collect(),
        })
    }

    /// Standardises `images` `(N, D)` in place.
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`](crate::Error::ShapeMismatch) if D is not that of the training set;
    /// [`Error::NotFinite`](crate::Error::NotFinite). The images are then unchanged.
    pub fn apply<T: Scalar>(&self, images: ArrayViewMut2<'_, T>) -> Result<()> {
        check_images("Standardize::apply", self.mean.len(), images.view())?;
        standardize(images, 1.0, &self.mean, &self.std);
        Ok(())
    }

    /// The mean of each pixel over the training set: `(D)`.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The divisor of each pixel: its standard deviation over the training set, or 1 if that is 0:
    /// `(D)`.
    #[must_use]
    pub fn std(&self) -> &[f64] {
        &self.std
    }
}
