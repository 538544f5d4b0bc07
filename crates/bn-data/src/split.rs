//! Parts of a data set: the first images, chosen ones, and random splits.

use bn_tensor::Scalar;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::{
    dataset::Dataset,
    error::{Error, Result},
};

impl<T: Scalar> Dataset<T> {
    /// The images at `indices` with their targets, in that order; an index may occur more than once.
    ///
    /// # Errors
    ///
    /// [`Error::IndexOutOfRange`].
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        let len = self.len();
        if let Some(&index) = indices.iter().find(|&&index| index >= len) {
            return Err(Error::IndexOutOfRange { index, len });
        }
        Ok(self.selected(indices))
    }

    /// The first `n` images, or all if there are fewer; the book's `x_train[:300]`.
    #[must_use]
    pub fn take(&self, n: usize) -> Self {
        let first: Vec<usize> = (0..n.min(self.len())).collect();
        self.selected(&first)
    }

    /// A copy in random order, the same for the same seed; the book's `shuffle_dataset`
    /// (`common/util.py`).
    #[must_use]
    pub fn shuffled(&self, seed: u64) -> Self {
        self.selected(&self.permutation(seed))
    }

    /// Splits off a random share for validation: `(train, validation)`, where validation has
    /// `rate * N` images, rounded down, as in the book's `ch06/hyperparameter_optimization.py`.
    ///
    /// The same seed gives the same split.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `rate` leaves either part without an image.
    pub fn split_validation(&self, rate: f64, seed: u64) -> Result<(Self, Self)> {
        self.split_validation_count(self.validation_count(rate)?, seed)
    }

    /// `rate * N`, rounded down, or an error if that leaves either part without an image.
    pub(crate) fn validation_count(&self, rate: f64) -> Result<usize> {
        let count = (self.len() as f64 * rate) as usize; // it saturates, and NaN becomes 0
        if count == 0 || count >= self.len() {
            return Err(Error::Setting {
                what: "the validation rate",
                value: rate.to_string(),
                must_be: format!(
                    "such that {} images leave at least one for either part",
                    self.len()
                ),
            });
        }
        Ok(count)
    }

    /// [`Dataset::split_validation`] by the number of validation images.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `count` leaves either part without an image.
    pub fn split_validation_count(&self, count: usize, seed: u64) -> Result<(Self, Self)> {
        if count == 0 || count >= self.len() {
            return Err(Error::Setting {
                what: "the number of validation images",
                value: count.to_string(),
                must_be: format!("at least 1 and below {}, the number of images", self.len()),
            });
        }
        let order = self.permutation(seed);
        let (validation, train) = order.split_at(count);
        Ok((self.selected(train), self.selected(validation)))
    }

    /// All indices in a random order.
    pub(crate) fn permutation(&self, seed: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
        order
    }
}
