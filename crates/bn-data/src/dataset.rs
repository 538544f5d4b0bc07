//! Images and labels in memory.

use bn_tensor::{checked_len, try_zeros};
use ndarray::{Array2, ArrayView2, ArrayView4, ArrayViewMut2, Axis};

use crate::error::{Error, Result};

/// Images as the rows of a matrix, and a label for each.
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
/// There are always as many labels as rows, and every label is below the number of classes.
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
pub struct Dataset {
    images: Array2<f32>, // (N, H*W*C)
    labels: Vec<usize>,  // (N)
    height: usize,
    width: usize,
    channels: usize,
    classes: usize,
}

/// Some images with their labels, borrowed from a [`Dataset`] or from the buffer of
/// [`Batches`](crate::Batches).
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The images, flattened, channels-last: `(B, H*W*C)`.
    pub images: ArrayView2<'a, f32>,
    /// The labels: `(B)`.
    pub labels: &'a [usize],
}

impl Dataset {
    /// Creates a data set from `images` `(N, H*W*C)`, each row an image, channels last; `labels` `(N)`, each
    /// below `classes`; `shape` is `(H, W, C)`. Rows that are not images have the shape `(1, 1, D)`.
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`], [`Error::CountMismatch`] or [`Error::LabelOutOfRange`].
    pub fn new(
        images: Array2<f32>,
        labels: Vec<usize>,
        shape: (usize, usize, usize),
        classes: usize,
    ) -> Result<Self> {
        let (height, width, channels) = shape;
        let (op, rows) = ("Dataset::new", images.nrows().max(1));
        let values = checked_len::<f32>(op, &[rows, height, width, channels]);
        if values.map(|values| values / rows) != Ok(images.ncols()) {
            return Err(Error::ShapeMismatch {
                op,
                expected: format!("(N, {height}*{width}*{channels})"),
                got: images.shape().to_vec(),
            });
        }
        if images.nrows() != labels.len() {
            return Err(Error::CountMismatch {
                images: images.nrows(),
                labels: labels.len(),
            });
        }
        if let Some(index) = labels.iter().position(|&label| label >= classes) {
            let label = labels[index];
            return Err(Error::LabelOutOfRange {
                index,
                label,
                classes,
            });
        }
        // images_4d and the mini-batches need contiguous rows.
        let images = if images.is_standard_layout() {
            images
        } else {
            images.as_standard_layout().into_owned()
        };
        Ok(Dataset {
            images,
            labels,
            height,
            width,
            channels,
            classes,
        })
    }

    /// The images, flattened, channels-last: `(N, H*W*C)`.
    #[must_use]
    pub fn images(&self) -> ArrayView2<'_, f32> {
        self.images.view()
    }

    /// The images `(N, H*W*C)`, mutable.
    pub fn images_mut(&mut self) -> ArrayViewMut2<'_, f32> {
        self.images.view_mut()
    }

    /// The images, channels-last: `(N, H, W, C)`.
    #[must_use]
    pub fn images_4d(&self) -> ArrayView4<'_, f32> {
        let shape = (self.len(), self.height, self.width, self.channels);
        self.images
            .view()
            .into_shape_with_order(shape)
            .expect("Dataset::new saw to shape and layout")
    }

    /// The images as another scalar type, `(N, H*W*C)`; gradient checks need `f64`.
    #[must_use]
    pub fn images_as<T: From<f32>>(&self) -> Array2<T> {
        self.images.mapv(T::from)
    }

    /// The labels: `(N)`.
    #[must_use]
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The labels one-hot: `(N, classes)`, 1 at the label and 0 elsewhere.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if there is no memory for so many classes.
    pub fn one_hot(&self) -> Result<Array2<f32>> {
        let mut one_hot = try_zeros("Dataset::one_hot", (self.len(), self.classes))?;
        for (mut row, &label) in one_hot.outer_iter_mut().zip(&self.labels) {
            row[label] = 1.0;
        }
        Ok(one_hot)
    }

    /// The number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Rows of pixels in an image.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns of pixels in an image.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Values of a pixel.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The same labels with other images `(N, D')`, such as those that a [`Whitening`](crate::Whitening)
    /// returns. Height, width and channels stay the same if the number of columns does; otherwise the shape
    /// is `(1, 1, D')`.
    ///
    /// # Errors
    ///
    /// [`Error::CountMismatch`].
    pub fn with_images(&self, images: Array2<f32>) -> Result<Self> {
        let shape = if images.ncols() == self.images.ncols() {
            (self.height, self.width, self.channels)
        } else {
            (1, 1, images.ncols())
        };
        Self::new(images, self.labels.clone(), shape, self.classes)
    }

    /// All images in order, `size` at a time (the last batch may be smaller), without a copy: for evaluation.
    ///
    /// ```
    /// # fn main() -> Result<(), bn_data::Error> {
    /// let (_, test) = bn_data::Digits::load()?.into_parts();
    /// let sizes: Vec<usize> = test.chunks(100)?.map(|batch| batch.labels.len()).collect();
    /// assert_eq!(sizes, [100, 100, 100, 82]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `size` is 0.
    pub fn chunks(&self, size: usize) -> Result<impl Iterator<Item = Batch<'_>>> {
        if size == 0 {
            return Err(Error::Setting {
                what: "the batch size",
                value: "0".to_owned(),
                must_be: "at least 1".to_owned(),
            });
        }
        Ok(self
            .images
            .axis_chunks_iter(Axis(0), size)
            .zip(self.labels.chunks(size))
            .map(|(images, labels)| Batch { images, labels }))
    }

    /// Other rows of the same kind: as many labels as rows, all below the number of classes.
    pub(crate) fn part(&self, images: Array2<f32>, labels: Vec<usize>) -> Self {
        debug_assert!(images.is_standard_layout());
        Dataset {
            images,
            labels,
            ..*self
        }
    }
}
