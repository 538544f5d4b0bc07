//! Images and their targets in memory.

mod build;

use bn_tensor::{Scalar, try_zeros};
use ndarray::{Array2, ArrayView2, ArrayView4, ArrayViewMut2, Axis};

use crate::{
    batch_source::Batch,
    error::{Error, Result},
    targets::{OwnedTargets, Targets, rows_of},
};
pub(crate) use build::class_count;

/// Images as the rows of a matrix, and a label or values for each.
///
/// The scalars are `f32`, or `f64` for gradient checks ([`Dataset::to`]). Targets are labels
/// ([`Dataset::new`], [`Dataset::from_arrays`]) or values ([`Dataset::with_values`]): those of a regression,
/// or a probability for each of several labels.
///
/// The options of the book's `load_mnist` (`dataset/mnist.py`) are methods here:
///
/// | the book                | here                                              |
/// |-------------------------|---------------------------------------------------|
/// | `normalize=True`        | [`LoadOptions::normalize`](crate::LoadOptions), the default |
/// | `flatten=True`          | [`Dataset::images`], `(N, D)`                     |
/// | `flatten=False`         | [`Dataset::images_4d`], `(N, H, W, C)`, where the book has `(N, C, H, W)` |
/// | `one_hot_label=True`    | [`Dataset::one_hot`], `(N, classes)`              |
/// | `one_hot_label=False`   | [`Dataset::labels`], `(N)`                        |
/// | `x_train[:300]`         | [`Dataset::take`]                                 |
/// | `shuffle_dataset`       | [`Dataset::shuffled`]                             |
///
/// There are always as many targets as rows, and every label is below the number of classes.
///
/// ```
/// use bn_data::Dataset;
/// use ndarray::array;
///
/// # fn main() -> Result<(), bn_data::Error> {
/// // Three images of 1 x 2 pixels with one channel, of two classes.
/// let images = array![[0.0, 0.1], [0.2, 0.3], [0.4, 0.5]];
/// let data = Dataset::new(images, vec![1, 0, 1], (1, 2, 1), 2)?;
///
/// assert_eq!(data.images_4d().dim(), (3, 1, 2, 1));
/// assert_eq!(data.one_hot()?, array![[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]);
/// assert_eq!(data.take(2).labels(), [1, 0]);
/// let (train, validation) = data.split_validation(0.4, 42)?;
/// assert_eq!((train.len(), validation.len()), (2, 1));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset<T: Scalar = f32> {
    images: Array2<T>,            // (N, H*W*C)
    targets: OwnedTargets<T>,     // N rows
    shape: (usize, usize, usize), // (H, W, C)
    classes: usize,               // 0 if the targets are values
}

impl<T: Scalar> Dataset<T> {
    /// The images, flattened, channels-last: `(N, H*W*C)`.
    #[must_use]
    pub fn images(&self) -> ArrayView2<'_, T> {
        self.images.view()
    }

    /// The images `(N, H*W*C)`, mutable.
    pub fn images_mut(&mut self) -> ArrayViewMut2<'_, T> {
        self.images.view_mut()
    }

    /// The images, channels-last: `(N, H, W, C)`.
    #[must_use]
    pub fn images_4d(&self) -> ArrayView4<'_, T> {
        let (height, width, channels) = self.shape;
        self.images
            .view()
            .into_shape_with_order((self.len(), height, width, channels))
            .expect("the constructors checked shape and layout")
    }

    /// The labels `(N)` or the values `(N, E)`.
    #[must_use]
    pub fn targets(&self) -> Targets<'_, T> {
        self.targets.view()
    }

    /// The labels `(N)`; empty if the targets are values.
    #[must_use]
    pub fn labels(&self) -> &[usize] {
        self.targets().labels()
    }

    /// The labels one-hot: `(N, classes)`, 1 at the label and 0 elsewhere.
    ///
    /// # Errors
    ///
    /// [`Error::NoLabels`] if the targets are values; [`Error::Tensor`] if there is no memory for so many
    /// classes.
    pub fn one_hot(&self) -> Result<Array2<T>> {
        const OP: &str = "Dataset::one_hot";
        let labels = self.labels_for(OP)?;
        let mut one_hot = try_zeros(OP, (self.len(), self.classes))?;
        for (mut row, &label) in one_hot.outer_iter_mut().zip(labels) {
            row[label] = T::one();
        }
        Ok(one_hot)
    }

    /// The number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.images.nrows()
    }

    /// Whether there are no images.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows of pixels in an image.
    #[must_use]
    pub fn height(&self) -> usize {
        self.shape.0
    }

    /// Columns of pixels in an image.
    #[must_use]
    pub fn width(&self) -> usize {
        self.shape.1
    }

    /// Values of a pixel.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.shape.2
    }

    /// Height, width and channels, `(H, W, C)`; `(1, 1, D)` for rows that are not images.
    #[must_use]
    pub fn image_shape(&self) -> (usize, usize, usize) {
        self.shape
    }

    /// The number of classes; 0 if the targets are values.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// All images in order, `size` at a time (the last batch may be smaller), without a copy: for evaluation.
    ///
    /// ```
    /// # fn main() -> Result<(), bn_data::Error> {
    /// let (_, test) = bn_data::Digits::load()?.into_parts();
    /// let sizes: Vec<usize> = test.chunks(100)?.map(|batch| batch.len()).collect();
    /// assert_eq!(sizes, [100, 100, 100, 82]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `size` is 0.
    pub fn chunks(&self, size: usize) -> Result<impl Iterator<Item = Batch<'_, T>>> {
        if size == 0 {
            return Err(Error::Setting {
                what: "the batch size",
                value: "0".to_owned(),
                must_be: "at least 1".to_owned(),
            });
        }
        let chunks = self.images.axis_chunks_iter(Axis(0), size);
        let starts = (0..self.len()).step_by(size);
        Ok(starts.zip(chunks).map(|(start, images)| Batch {
            images,
            targets: rows_of(&self.targets(), start, images.nrows()),
        }))
    }

    /// The width of the values; `None` for labels.
    pub(crate) fn outputs(&self) -> Option<usize> {
        match self.targets() {
            Targets::Labels(_) => None,
            Targets::Dense(values) => Some(values.ncols()),
        }
    }

    /// The labels, or [`Error::NoLabels`] if the targets are values.
    pub(crate) fn labels_for(&self, op: &'static str) -> Result<&[usize]> {
        match &self.targets {
            OwnedTargets::Labels(labels) => Ok(labels),
            OwnedTargets::Dense(_) => Err(Error::NoLabels { op }),
        }
    }

    /// The images at `indices`, which exist, with their targets.
    pub(crate) fn selected(&self, indices: &[usize]) -> Self {
        Dataset {
            images: self.images.select(Axis(0), indices),
            targets: self.targets.select(indices),
            ..*self
        }
    }
}
