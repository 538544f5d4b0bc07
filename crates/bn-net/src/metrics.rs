use crate::{Error, Network, Workspace, loss::softmax_row};
use bn_tensor::Scalar;
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, Slice};

/// Rows that are evaluated at a time: enough for the matrix products, little enough to stay in
/// the cache.
const ROWS: usize = 1000;

/// How often each class was taken for each.
///
/// ```
/// use bn_net::ConfusionMatrix;
/// let mut m = ConfusionMatrix::new(2);
/// for (label, predicted) in [(0, 0), (0, 1), (1, 1), (1, 1)] {
///     m.add(label, predicted);
/// }
/// assert_eq!(m.accuracy(), 0.75);
/// assert_eq!(m.counts()[[0, 1]], 1); // a 0 taken for a 1
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfusionMatrix {
    counts: Array2<u64>, // (C, C): [label, predicted]
}

impl ConfusionMatrix {
    /// Nothing counted yet, for `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self {
            counts: Array2::zeros((classes, classes)),
        }
    }

    /// Counts one prediction; one out of range is not counted.
    pub fn add(&mut self, label: usize, predicted: usize) {
        if let Some(count) = self.counts.get_mut((label, predicted)) {
            *count += 1;
        }
    }

    /// The counts, `(C, C)`: `[label, predicted]`.
    pub fn counts(&self) -> ArrayView2<'_, u64> {
        self.counts.view()
    }

    /// The share on the diagonal; 0 when nothing was counted.
    pub fn accuracy(&self) -> f64 {
        self.counts.diag().sum() as f64 / self.counts.sum().max(1) as f64
    }
}

impl std::fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let classes = self.counts.nrows();
        let width = self
            .counts
            .iter()
            .max()
            .map_or(1, |m| m.to_string().len())
            .max(4)
            + 1;
        write!(f, "{:>6} ", "label")?;
        (0..classes).try_for_each(|k| write!(f, "{k:>width$}"))?;
        writeln!(f, "   recall")?;
        for (k, row) in self.counts.outer_iter().enumerate() {
            write!(f, "{k:>6} ")?;
            row.iter().try_for_each(|n| write!(f, "{n:>width$}"))?;
            let recall = 100.0 * row[k] as f64 / row.sum().max(1) as f64;
            writeln!(f, " {recall:>6.2} %")?;
        }
        Ok(())
    }
}

/// The index of the largest value; of a row with a NaN, none.
fn arg_max<T: Scalar>(row: ArrayView1<'_, T>) -> Option<usize> {
    if row.iter().any(|v| v.is_nan()) {
        return None;
    }
    let mut values = row.iter().enumerate();
    let first = values.next()?;
    let largest = values.fold(first, |best, v| if v.1 > best.1 { v } else { best });
    Some(largest.0)
}

impl<T: Scalar> Network<T> {
    /// The probability of each class, `(N, C)`: the softmax of [`predict`](Self::predict).
    ///
    /// # Errors
    /// The network's.
    pub fn predict_proba(&self, x: ArrayView2<'_, T>) -> Result<Array2<T>, Error> {
        let mut y = self.predict(x)?;
        for mut row in y.rows_mut() {
            let logits = row.to_owned();
            softmax_row(logits.view(), row.view_mut());
        }
        Ok(y)
    }

    /// The share of rows of `x: (N, D)` whose largest output is that of their label. A row with a
    /// NaN in its output counts as wrong.
    ///
    /// # Errors
    /// The network's; [`Error::Targets`], [`Error::LabelOutOfRange`].
    pub fn accuracy(&self, x: ArrayView2<'_, T>, labels: &[usize]) -> Result<f64, Error> {
        self.accuracy_with(x, labels, &mut Workspace::default())
    }

    /// [`accuracy`](Self::accuracy) in the caller's buffers; once they are warm, without
    /// allocating.
    ///
    /// # Errors
    /// As [`accuracy`](Self::accuracy).
    pub fn accuracy_with(
        &self,
        x: ArrayView2<'_, T>,
        labels: &[usize],
        workspace: &mut Workspace<T>,
    ) -> Result<f64, Error> {
        let mut correct = 0;
        self.classify(x, labels, workspace, |label, predicted| {
            correct += usize::from(predicted == Some(label));
        })?;
        Ok(correct as f64 / labels.len() as f64)
    }

    /// How often each class of `labels` was taken for each. A row with a NaN in its output is not
    /// counted.
    ///
    /// # Errors
    /// As [`accuracy`](Self::accuracy).
    pub fn confusion_matrix(
        &self,
        x: ArrayView2<'_, T>,
        labels: &[usize],
    ) -> Result<ConfusionMatrix, Error> {
        let mut matrix = ConfusionMatrix::new(self.output().size());
        self.classify(x, labels, &mut Workspace::default(), |label, predicted| {
            if let Some(predicted) = predicted {
                matrix.add(label, predicted);
            }
        })?;
        Ok(matrix)
    }

    /// Calls `f(label, predicted class)` for each row.
    fn classify(
        &self,
        x: ArrayView2<'_, T>,
        labels: &[usize],
        workspace: &mut Workspace<T>,
        mut f: impl FnMut(usize, Option<usize>),
    ) -> Result<(), Error> {
        let classes = self.output().size();
        if labels.len() != x.nrows() {
            return Err(Error::Targets {
                loss: "accuracy",
                expected: format!("{} labels", x.nrows()),
                got: format!("{} labels", labels.len()),
            });
        }
        if let Some((row, &label)) = labels.iter().enumerate().find(|&(_, &l)| l >= classes) {
            return Err(Error::LabelOutOfRange {
                row,
                label,
                classes,
            });
        }
        if labels.is_empty() {
            self.predict_with(x, workspace)?; // an empty batch: says so
        }
        for (first, labels) in (0..).step_by(ROWS).zip(labels.chunks(ROWS)) {
            let rows = x.slice_axis(Axis(0), Slice::from(first..first + labels.len()));
            let y = self.predict_with(rows, workspace)?;
            for (row, &label) in y.axis_iter(Axis(0)).zip(labels) {
                f(label, arg_max(row));
            }
        }
        Ok(())
    }
}
