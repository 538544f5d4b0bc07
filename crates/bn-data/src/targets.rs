//! The desired outputs: a label or values for each row.

use bn_tensor::Scalar;
use ndarray::{Array2, ArrayView2, Axis, Slice};
use std::ops::Range;

/// The desired output for each row of a batch.
///
/// ```
/// use bn_data::Targets;
/// use ndarray::array;
///
/// let digits = vec![2, 0, 1];
/// let labels: Targets<'_, f32> = (&digits).into();
/// assert_eq!(labels.labels(), [2, 0, 1]);
/// assert_eq!(labels.describe(), "3 labels");
///
/// let values = array![[0.5, 1.5]];
/// let values = Targets::from(values.view());
/// assert_eq!(values.len(), 1);
/// assert_eq!(values.describe(), "values of shape [1, 2]");
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Targets<'a, T> {
    /// The class of each row, `(N)`.
    Labels(&'a [usize]),
    /// A value for each output, `(N, E)`: one-hot or soft classes, or the values of a regression.
    Dense(ArrayView2<'a, T>),
}

impl<'a, T> Targets<'a, T> {
    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Targets::Labels(labels) => labels.len(),
            Targets::Dense(values) => values.nrows(),
        }
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The labels `(N)`; empty if the targets are values.
    #[must_use]
    pub fn labels(&self) -> &'a [usize] {
        match self {
            Targets::Labels(labels) => labels,
            Targets::Dense(_) => &[],
        }
    }

    /// The targets of these rows, if there are as many.
    ///
    /// ```
    /// use bn_data::Targets;
    /// let targets = Targets::<f32>::Labels(&[2, 0, 1]);
    /// assert_eq!(targets.rows(1..3).unwrap().labels(), [0, 1]);
    /// assert!(targets.rows(1..4).is_none());
    /// ```
    #[must_use]
    pub fn rows(&self, rows: Range<usize>) -> Option<Targets<'a, T>> {
        let exist = rows.start <= rows.end && rows.end <= self.len();
        exist.then(|| rows_of(self, rows.start, rows.len()))
    }

    /// The kind and the size in words, for messages.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Targets::Labels(labels) => format!("{} labels", labels.len()),
            Targets::Dense(values) => format!("values of shape {:?}", values.shape()),
        }
    }
}

impl<'a, T> From<&'a [usize]> for Targets<'a, T> {
    fn from(labels: &'a [usize]) -> Self {
        Targets::Labels(labels)
    }
}

impl<'a, T> From<&'a Vec<usize>> for Targets<'a, T> {
    fn from(labels: &'a Vec<usize>) -> Self {
        Targets::Labels(labels)
    }
}

impl<'a, T> From<ArrayView2<'a, T>> for Targets<'a, T> {
    fn from(values: ArrayView2<'a, T>) -> Self {
        Targets::Dense(values)
    }
}

/// The targets that a data set or the buffer of a batch owns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OwnedTargets<T> {
    Labels(Vec<usize>), // (N)
    Dense(Array2<T>),   // (N, E)
}

impl<T: Scalar> OwnedTargets<T> {
    pub(crate) fn view(&self) -> Targets<'_, T> {
        match self {
            OwnedTargets::Labels(labels) => Targets::Labels(labels),
            OwnedTargets::Dense(values) => Targets::Dense(values.view()),
        }
    }

    /// The targets of the rows at `indices`, which exist.
    pub(crate) fn select(&self, indices: &[usize]) -> Self {
        match self {
            OwnedTargets::Labels(labels) => {
                OwnedTargets::Labels(indices.iter().map(|&index| labels[index]).collect())
            }
            OwnedTargets::Dense(values) => OwnedTargets::Dense(values.select(Axis(0), indices)),
        }
    }

    pub(crate) fn to<U: Scalar>(&self) -> OwnedTargets<U> {
        match self {
            OwnedTargets::Labels(labels) => OwnedTargets::Labels(labels.clone()),
            OwnedTargets::Dense(values) => {
                OwnedTargets::Dense(values.mapv(|x| U::from_f64(x.as_f64())))
            }
        }
    }
}

/// The targets of `rows` rows from `start` on, which exist.
pub(crate) fn rows_of<'a, T>(
    targets: &Targets<'a, T>,
    start: usize,
    rows: usize,
) -> Targets<'a, T> {
    match *targets {
        Targets::Labels(labels) => Targets::Labels(&labels[start..start + rows]),
        Targets::Dense(values) => {
            Targets::Dense(values.slice_axis_move(Axis(0), Slice::from(start..start + rows)))
        }
    }
}
