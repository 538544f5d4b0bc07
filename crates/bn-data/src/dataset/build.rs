//! The constructors of data sets.

use bn_tensor::{Scalar, checked_len, to_row_major};
use ndarray::{Array2, Array4};

use super::Dataset;
use crate::{
    error::{Error, Result},
    targets::{OwnedTargets, Targets},
};

impl<T: Scalar> Dataset<T> {
    /// Creates a data set from `images` `(N, H*W*C)`, each row an image, channels last; `labels` `(N)`, each
    /// below `classes`; `shape` is `(H, W, C)`. Rows that are not images have the shape `(1, 1, D)`.
    ///
    /// ```
    /// use bn_data::Dataset;
    /// use ndarray::array;
    ///
    /// # fn main() -> Result<(), bn_data::Error> {
    /// // Two images of 2 x 2 pixels, row after row, of three classes.
    /// let images = array![[0.0, 0.1, 0.2, 0.3], [1.0, 0.9, 0.8, 0.7]];
    /// let data = Dataset::new(images, vec![0, 2], (2, 2, 1), 3)?;
    /// assert_eq!(data.images_4d()[[1, 1, 0, 0]], 0.8);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`], [`Error::CountMismatch`] or [`Error::LabelOutOfRange`].
    pub fn new(
        images: Array2<T>,
        labels: Vec<usize>,
        shape: (usize, usize, usize),
        classes: usize,
    ) -> Result<Self> {
        check_shape("Dataset::new", &images, shape)?;
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
        Ok(Dataset {
            images: row_major(images),
            targets: OwnedTargets::Labels(labels),
            shape,
            classes,
        })
    }

    /// Creates a data set whose targets are values: `images` `(N, H*W*C)`, `values` `(N, E)`; `shape` is
    /// `(H, W, C)`, or `(1, 1, D)` for rows that are not images.
    ///
    /// The values are those of a regression, or a 1 or 0 for each of E labels, of which an image can have
    /// several. There are no labels then, and [`classes`](Self::classes) is 0.
    ///
    /// ```
    /// use bn_data::{Batches, Dataset};
    /// use ndarray::array;
    ///
    /// # fn main() -> Result<(), bn_data::Error> {
    /// let x = array![[0.0], [0.5], [1.0]];
    /// let t = array![[1.0, 0.0], [1.5, 0.25], [2.0, 1.0]]; // 1 + x, x²
    /// let data = Dataset::with_values(x, t, (1, 1, 1))?;
    ///
    /// let mut batches = Batches::new(&data, 2, 42)?;
    /// let batch = batches.next_batch().unwrap();
    /// assert_eq!((batch.images.dim(), batch.targets.len()), ((2, 1), 2));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`] if `images` do not have the shape, or if `values` do not have N rows.
    pub fn with_values(
        images: Array2<T>,
        values: Array2<T>,
        shape: (usize, usize, usize),
    ) -> Result<Self> {
        const OP: &str = "Dataset::with_values";
        check_shape(OP, &images, shape)?;
        if images.nrows() != values.nrows() {
            return Err(Error::ShapeMismatch {
                op: OP,
                expected: format!("({}, E), a row of values for each image", images.nrows()),
                got: values.shape().to_vec(),
            });
        }
        Ok(Dataset {
            images: row_major(images),
            targets: OwnedTargets::Dense(row_major(values)),
            shape,
            classes: 0,
        })
    }

    /// Creates a data set from rows `x` `(N, D)` and their labels `(N)`, an array or a list, as
    /// scikit-learn's and Keras' `fit(x, y)` take them. The shape of a row is `(1, 1, D)`, and the number
    /// of classes is the largest label plus 1.
    ///
    /// ```
    /// use bn_data::Dataset;
    /// use ndarray::array;
    ///
    /// # fn main() -> Result<(), bn_data::Error> {
    /// let data = Dataset::from_arrays(array![[5.1, 3.5], [6.2, 2.9]], array![0, 2])?;
    /// assert_eq!((data.len(), data.classes()), (2, 3));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::CountMismatch`]; [`Error::LabelOutOfRange`] for the label `usize::MAX`.
    pub fn from_arrays(x: Array2<T>, labels: impl IntoIterator<Item = usize>) -> Result<Self> {
        let labels: Vec<usize> = labels.into_iter().collect();
        let classes = class_count(&labels);
        let shape = (1, 1, x.ncols());
        Self::new(x, labels, shape, classes)
    }

    /// Creates a data set from `images` `(N, H, W, C)`, channels last, and their labels `(N)`. The number of
    /// classes is the largest label plus 1.
    ///
    /// Images of bytes become scalars with `mapv`; those with channels first are permuted.
    ///
    /// ```
    /// use bn_data::Dataset;
    /// use ndarray::Array4;
    ///
    /// # fn main() -> Result<(), bn_data::Error> {
    /// let bytes = Array4::<u8>::zeros((3, 1, 28, 20)); // (N, C, H, W)
    /// let images = bytes.mapv(|byte| f32::from(byte) / 255.0).permuted_axes([0, 2, 3, 1]);
    /// let data = Dataset::from_images(images, [0, 1, 0])?;
    /// assert_eq!(data.image_shape(), (28, 20, 1));
    /// assert_eq!(data.images().dim(), (3, 560));
    /// assert_eq!(data.classes(), 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::CountMismatch`]; [`Error::LabelOutOfRange`] for the label `usize::MAX`; [`Error::Tensor`] if
    /// there is no memory to put the images into row-major order.
    pub fn from_images(images: Array4<T>, labels: impl IntoIterator<Item = usize>) -> Result<Self> {
        let labels: Vec<usize> = labels.into_iter().collect();
        let classes = class_count(&labels);
        let (n, height, width, channels) = images.dim();
        let images = match images.is_standard_layout() {
            true => images,
            false => to_row_major("Dataset::from_images", &images.view())?.into_owned(),
        };
        let rows = images
            .into_shape_with_order((n, height * width * channels))
            .expect("it is row-major and has as many elements");
        Self::new(rows, labels, (height, width, channels), classes)
    }

    /// Creates a data set from pairs of a row and its label, as [`from_arrays`](Self::from_arrays) does
    /// from arrays.
    ///
    /// ```
    /// use bn_data::Dataset;
    ///
    /// # fn main() -> Result<(), bn_data::Error> {
    /// let lines = ["0.1 0.2 no", "0.8 0.9 yes"];
    /// let data: Dataset = Dataset::from_rows(lines.iter().map(|line| {
    ///     let words: Vec<&str> = line.split(' ').collect();
    ///     let row: Vec<f32> = words[..2].iter().filter_map(|word| word.parse().ok()).collect();
    ///     (row, usize::from(words[2] == "yes"))
    /// }))?;
    /// assert_eq!(data.images().dim(), (2, 2));
    /// assert_eq!(data.labels(), [0, 1]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::RowLength`] if a row is longer or shorter than the first; [`Error::LabelOutOfRange`] for
    /// the label `usize::MAX`.
    pub fn from_rows<R: AsRef<[T]>>(rows: impl IntoIterator<Item = (R, usize)>) -> Result<Self> {
        let (mut values, mut labels, mut columns) = (Vec::new(), Vec::new(), 0);
        for (index, (row, label)) in rows.into_iter().enumerate() {
            let row = row.as_ref();
            if index == 0 {
                columns = row.len();
            }
            if row.len() != columns {
                return Err(Error::RowLength {
                    row: index,
                    expected: columns,
                    got: row.len(),
                });
            }
            values.extend_from_slice(row);
            labels.push(label);
        }
        let x = Array2::from_shape_vec((labels.len(), columns), values)
            .expect("each row has as many values");
        Self::from_arrays(x, labels)
    }

    /// The same targets with other images `(N, D')`, such as those that a [`Whitening`](crate::Whitening)
    /// returns. Height, width and channels stay the same if the number of columns does; otherwise the shape
    /// is `(1, 1, D')`.
    ///
    /// # Errors
    ///
    /// [`Error::CountMismatch`] or, if the targets are values, [`Error::ShapeMismatch`].
    pub fn with_images(&self, images: Array2<T>) -> Result<Self> {
        let shape = if images.ncols() == self.images.ncols() {
            self.shape
        } else {
            (1, 1, images.ncols())
        };
        match self.targets() {
            Targets::Labels(labels) => Self::new(images, labels.to_vec(), shape, self.classes),
            Targets::Dense(values) => Self::with_values(images, values.to_owned(), shape),
        }
    }

    /// The data set with another scalar type; gradient checks need `f64`. Values of `f64` are rounded to
    /// the nearest `f32`.
    ///
    /// ```
    /// # fn main() -> Result<(), bn_data::Error> {
    /// let digits = bn_data::Digits::load()?.test().to::<f64>();
    /// let x: ndarray::ArrayView2<'_, f64> = digits.images();
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn to<U: Scalar>(&self) -> Dataset<U> {
        Dataset {
            images: self.images.mapv(|x| U::from_f64(x.as_f64())),
            targets: self.targets.to(),
            shape: self.shape,
            classes: self.classes,
        }
    }
}

/// The largest label plus 1.
pub(crate) fn class_count(labels: &[usize]) -> usize {
    let largest = labels.iter().max();
    largest.map_or(0, |&label| label.saturating_add(1))
}

/// Refuses images that do not have the shape `(H, W, C)`.
fn check_shape<T>(
    op: &'static str,
    images: &Array2<T>,
    (height, width, channels): (usize, usize, usize),
) -> Result<()> {
    let rows = images.nrows().max(1);
    let values = checked_len::<T>(op, &[rows, height, width, channels]);
    if values.map(|values| values / rows) != Ok(images.ncols()) {
        return Err(Error::ShapeMismatch {
            op,
            expected: format!("(N, {height}*{width}*{channels})"),
            got: images.shape().to_vec(),
        });
    }
    Ok(())
}

/// The array in row-major order, which [`Dataset::images_4d`] and the mini-batches need.
fn row_major<T: Scalar>(array: Array2<T>) -> Array2<T> {
    if array.is_standard_layout() {
        array
    } else {
        array.as_standard_layout().into_owned()
    }
}
