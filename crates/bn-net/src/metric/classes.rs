//! Outputs as classes.

use super::confusion::ConfusionMatrix;
use crate::{
    error::Error,
    loss::arg_max,
    network::{Network, Workspace},
    targets::{check_labels, misfit},
};
use bn_layers::softmax;
use bn_tensor::Scalar;
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, Slice};

/// The number of rows that are evaluated at a time: enough for fast matrix products, and few enough for
/// the cache.
const ROWS: usize = 1000;

/// The class that an output row stands for.
type ClassOf<'a, T> = dyn Fn(ArrayView1<'_, T>) -> Option<usize> + 'a;

impl<T: Scalar> Network<T> {
    /// The probability of each class, `(N, C)`: the softmax of [`predict`](Self::predict). The outputs of a
    /// row that are +∞ share its probability equally. A row with a NaN is NaN.
    ///
    /// # Errors
    /// The network's.
    pub fn predict_proba(&self, x: ArrayView2<'_, T>) -> Result<Array2<T>, Error> {
        let mut y = self.predict(x)?;
        for mut row in y.rows_mut() {
            let logits = row.to_owned();
            softmax(logits.view(), row.view_mut());
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
        check_labels(labels, self.output().size(), None)?;
        self.share_correct(x, labels, &arg_max, workspace)
    }

    /// The share of rows of `x: (N, D)` whose output stands for their label, by `class_of`.
    pub(crate) fn share_correct(
        &self,
        x: ArrayView2<'_, T>,
        labels: &[usize],
        class_of: &ClassOf<'_, T>,
        workspace: &mut Workspace<T>,
    ) -> Result<f64, Error> {
        let mut correct = 0;
        self.classify(x, labels, class_of, workspace, |label, predicted| {
            correct += usize::from(predicted == Some(label));
        })?;
        Ok(correct as f64 / labels.len() as f64)
    }

    /// How often each class was predicted for each of `labels`. A row with a NaN in its output is counted
    /// as [unclassified](ConfusionMatrix::unclassified).
    ///
    /// # Errors
    /// As [`accuracy`](Self::accuracy) and [`ConfusionMatrix::new`].
    pub fn confusion_matrix(
        &self,
        x: ArrayView2<'_, T>,
        labels: &[usize],
    ) -> Result<ConfusionMatrix, Error> {
        check_labels(labels, self.output().size(), None)?;
        let mut matrix = ConfusionMatrix::new(self.output().size())?;
        let workspace = &mut Workspace::default();
        self.classify(x, labels, &arg_max, workspace, |label, predicted| {
            matrix.add(label, predicted);
        })?;
        Ok(matrix)
    }

    /// Calls `f(label, predicted class)` for each row.
    fn classify(
        &self,
        x: ArrayView2<'_, T>,
        labels: &[usize],
        class_of: &ClassOf<'_, T>,
        workspace: &mut Workspace<T>,
        mut f: impl FnMut(usize, Option<usize>),
    ) -> Result<(), Error> {
        if labels.len() != x.nrows() {
            let [expected, got] = [x.nrows(), labels.len()].map(|n| format!("{n} labels"));
            return Err(misfit("accuracy", expected, got));
        }
        if labels.is_empty() {
            self.predict_with(x, workspace)?; // the error of an empty batch
        }
        for (first, labels) in (0..).step_by(ROWS).zip(labels.chunks(ROWS)) {
            let rows = x.slice_axis(Axis(0), Slice::from(first..first + labels.len()));
            let y = self.predict_with(rows, workspace)?;
            for (row, &label) in y.axis_iter(Axis(0)).zip(labels) {
                f(label, class_of(row));
            }
        }
        Ok(())
    }
}
