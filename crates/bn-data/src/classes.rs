//! The classes of a data set: how many images they have, and parts of it by class.

use std::cmp::Reverse;
use std::collections::HashMap;

use bn_tensor::{Scalar, try_zeros};
use ndarray::Axis;

use crate::{
    dataset::Dataset,
    error::{Error, Result},
};

impl<T: Scalar> Dataset<T> {
    /// The number of images of each class: `(classes)`.
    ///
    /// ```
    /// # fn main() -> Result<(), bn_data::Error> {
    /// let digits = bn_data::Digits::load()?;
    /// assert_eq!(digits.test().class_counts()?, [38, 39, 37, 39, 39, 39, 39, 38, 35, 39]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoLabels`] if the targets are values; [`Error::Tensor`] if there is no memory for so many
    /// classes.
    pub fn class_counts(&self) -> Result<Vec<usize>> {
        const OP: &str = "Dataset::class_counts";
        let labels = self.labels_for(OP)?;
        let mut counts = try_zeros(OP, self.classes())?.into_raw_vec_and_offset().0;
        for &label in labels {
            counts[label] += 1;
        }
        Ok(counts)
    }

    /// A weight of each class for the loss, by which all classes matter equally: `(classes)`.
    ///
    /// ```text
    /// weight = N / (classes * images of the class)
    /// ```
    ///
    /// This is `class_weight="balanced"` of scikit-learn. The mean weight of an image is 1.
    ///
    /// ```
    /// use bn_data::Dataset;
    /// use ndarray::array;
    ///
    /// # fn main() -> Result<(), bn_data::Error> {
    /// let data = Dataset::from_arrays(array![[0.1], [0.2], [0.3], [0.9]], [0, 0, 0, 1])?;
    /// assert_eq!(data.class_weights()?, [4.0 / (2.0 * 3.0), 4.0 / (2.0 * 1.0)]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::EmptyClass`] if a class has no image, and the errors of
    /// [`class_counts`](Self::class_counts).
    pub fn class_weights(&self) -> Result<Vec<f64>> {
        let counts = self.class_counts()?;
        if let Some(class) = counts.iter().position(|&count| count == 0) {
            return Err(Error::EmptyClass { class });
        }
        let classes = counts.len() as f64;
        let weight = |&count: &usize| self.len() as f64 / (classes * count as f64);
        Ok(counts.iter().map(weight).collect())
    }

    /// The images of these classes, in their order, with new labels: the first class of the list becomes
    /// 0, the second 1 and so on.
    ///
    /// ```
    /// # fn main() -> Result<(), bn_data::Error> {
    /// let (train, _test) = bn_data::Digits::load()?.into_parts();
    /// let odd = train.select_classes(&[1, 3, 5, 7, 9])?;
    /// assert_eq!(odd.classes(), 5);
    /// assert_eq!(train.labels()[..4], [0, 1, 2, 3]);
    /// assert_eq!(odd.labels()[..2], [0, 1]); // the digits 1 and 3
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoLabels`] if the targets are values; [`Error::LabelOutOfRange`] for a class that is not
    /// below the number of classes; [`Error::Setting`] for a class that occurs twice.
    pub fn select_classes(&self, classes: &[usize]) -> Result<Self> {
        let labels = self.labels_for("Dataset::select_classes")?;
        let mut new_labels = HashMap::new();
        for (index, &class) in classes.iter().enumerate() {
            if class >= self.classes() {
                return Err(Error::LabelOutOfRange {
                    index,
                    label: class,
                    classes: self.classes(),
                });
            }
            if new_labels.insert(class, index).is_some() {
                return Err(Error::Setting {
                    what: "a selected class",
                    value: format!("{class} for the second time"),
                    must_be: "another one; list each class once".to_owned(),
                });
            }
        }
        let (mut indices, mut selected) = (Vec::new(), Vec::new());
        for (index, label) in labels.iter().enumerate() {
            if let Some(&new_label) = new_labels.get(label) {
                indices.push(index);
                selected.push(new_label);
            }
        }
        let images = self.images().select(Axis(0), &indices);
        Self::new(images, selected, self.image_shape(), classes.len())
    }

    /// Splits off a random share of each class for validation: `(train, validation)`.
    ///
    /// As in [`split_validation`](Self::split_validation), validation has `rate * N` images, rounded down.
    /// Each class has its share of them, rounded down or up: up for the classes that would lose most. The
    /// same seed gives the same split.
    ///
    /// ```
    /// # fn main() -> Result<(), bn_data::Error> {
    /// let digits = bn_data::Digits::load()?;
    /// let (_train, validation) = digits.all().split_stratified(0.1, 42)?; // 179 of 1,797
    /// assert_eq!(validation.class_counts()?, [18, 18, 18, 18, 18, 18, 18, 18, 17, 18]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `rate` leaves either part without an image, and the errors of
    /// [`class_counts`](Self::class_counts).
    pub fn split_stratified(&self, rate: f64, seed: u64) -> Result<(Self, Self)> {
        let counts = self.class_counts()?;
        let total = self.validation_count(rate)?;
        let mut left = quotas(&counts, total);
        let labels = self.labels();
        let (validation, train): (Vec<usize>, Vec<usize>) =
            self.permutation(seed).into_iter().partition(|&index| {
                let left = &mut left[labels[index]];
                let is_chosen = *left > 0;
                *left -= usize::from(is_chosen);
                is_chosen
            });
        Ok((self.selected(&train), self.selected(&validation)))
    }
}

/// How many images of each class make up `total`, in proportion to `counts`.
fn quotas(counts: &[usize], total: usize) -> Vec<usize> {
    let images = counts.iter().sum::<usize>() as u128; // at least 1
    let share = |class: usize| counts[class] as u128 * total as u128; // divided by `images`
    let mut classes: Vec<usize> = (0..counts.len()).collect();
    let mut quotas: Vec<usize> = classes
        .iter()
        .map(|&class| (share(class) / images) as usize)
        .collect();
    // The largest remainder first; the sort keeps the order of equal ones.
    classes.sort_by_key(|&class| Reverse(share(class) % images));
    let missing = total - quotas.iter().sum::<usize>();
    for &class in &classes[..missing] {
        quotas[class] += 1;
    }
    quotas
}
