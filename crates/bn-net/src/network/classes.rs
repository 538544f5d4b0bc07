//! Outputs as classes.

use super::{chain::Network, eval::Workspace};
use crate::{
    error::Error,
    metric::ConfusionMatrix,
    targets::{check_labels, class_of, misfit},
};
use bn_layers::softmax;
use bn_tensor::{Scalar, try_resize};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, Slice};

/// The number of rows that are evaluated at a time: enough for fast matrix products, and few enough for
/// the cache.
const ROWS: usize = 1000;

impl<T: Scalar> Network<T> {
    /// The outputs in evaluation as probabilities, `(N, E)`. What they are depends on the last layer, by its name
    /// in the builder:
    ///
    /// | last layer | outputs | probabilities |
    /// |---|---|---|
    /// | `sigmoid`, `softmax` | any | the outputs as they are |
    /// | `log_softmax` | any | `exp(y)` |
    /// | any other | one, a logit | `sigmoid(y)`, the probability of class 1 |
    /// | any other | several, logits | `softmax(y)`, the probability of each class |
    ///
    /// Outputs of a row that are +∞ share its probability equally. A row with a NaN is NaN.
    ///
    /// ```
    /// use bn_net::Network;
    /// use ndarray::array;
    /// let network = Network::builder(1).identity().build(1)?;
    /// let p = network.predict_proba(array![[0.0], [3f32.ln()]].view())?;
    /// assert!((p[[0, 0]] - 0.5).abs() < 1e-6 && (p[[1, 0]] - 0.75).abs() < 1e-6);
    /// assert_eq!(network.predict_labels(array![[-0.1], [0.1]].view())?, [0, 1]);
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    ///
    /// # Errors
    /// The network's.
    pub fn predict_proba(&self, x: ArrayView2<'_, T>) -> Result<Array2<T>, Error> {
        self.predict_proba_with(x, &mut Workspace::default())
    }

    /// [`predict_proba`](Self::predict_proba) with the caller's buffers for the network.
    ///
    /// # Errors
    /// The network's.
    pub fn predict_proba_with(
        &self,
        x: ArrayView2<'_, T>,
        workspace: &mut Workspace<T>,
    ) -> Result<Array2<T>, Error> {
        let mut y = self.predict_with(x, workspace)?.to_owned();
        match self.last_name() {
            "sigmoid" | "softmax" => {}
            "log_softmax" => y.mapv_inplace(|y| y.exp()),
            _ if y.ncols() == 1 => y.mapv_inplace(|z| (T::one() + (-z).exp()).recip()),
            _ => {
                for mut row in y.rows_mut() {
                    let logits = row.to_owned();
                    softmax(logits.view(), row.view_mut());
                }
            }
        }
        Ok(y)
    }

    /// The class of each row of `x: (N, D)`: that of its largest output. Of a network with one output it is 1 if
    /// its probability is above one half, and else 0: a probability if the last layer is a `sigmoid`, and else a
    /// logit.
    ///
    /// # Errors
    /// The network's; [`Error::NonFinite`] for a row with a NaN in its output, which is of no class.
    pub fn predict_labels(&self, x: ArrayView2<'_, T>) -> Result<Vec<usize>, Error> {
        let mut labels = Vec::new();
        try_resize("predict_labels", &mut labels, &[x.nrows()])?;
        self.for_each_output(x, &mut Workspace::default(), |row, y| {
            let class = class_of(y, self.threshold());
            labels[row] = class.ok_or_else(|| Error::NonFinite {
                place: format!("the output of row {row}"),
                hint: "",
            })?;
            Ok(())
        })?;
        Ok(labels)
    }

    /// The share of rows of `x: (N, D)` whose [class](Self::predict_labels) is their label. A row with a
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
        let mut matrix = ConfusionMatrix::new(self.classes())?;
        self.classify(x, labels, &mut Workspace::default(), |label, predicted| {
            matrix.add(label, predicted);
        })?;
        Ok(matrix)
    }

    fn last_name(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }

    /// The output above which a network with one output predicts class 1.
    fn threshold(&self) -> f64 {
        match self.last_name() {
            "sigmoid" => 0.5,
            _ => 0.0,
        }
    }

    /// The number of classes that the outputs stand for.
    fn classes(&self) -> usize {
        self.output.size().max(2)
    }

    /// Calls `f(label, predicted class)` for each row.
    fn classify(
        &self,
        x: ArrayView2<'_, T>,
        labels: &[usize],
        workspace: &mut Workspace<T>,
        mut f: impl FnMut(usize, Option<usize>),
    ) -> Result<(), Error> {
        check_labels(labels, self.classes(), None)?;
        if labels.len() != x.nrows() {
            let [expected, got] = [x.nrows(), labels.len()].map(|n| format!("{n} labels"));
            return Err(misfit("accuracy", expected, got));
        }
        self.for_each_output(x, workspace, |row, y| {
            f(labels[row], class_of(y, self.threshold()));
            Ok(())
        })
    }

    /// Calls `f(row, output of the row)` for each row.
    fn for_each_output(
        &self,
        x: ArrayView2<'_, T>,
        workspace: &mut Workspace<T>,
        mut f: impl FnMut(usize, ArrayView1<'_, T>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if x.nrows() == 0 {
            self.predict_with(x, workspace)?; // the error of an empty batch
        }
        for first in (0..x.nrows()).step_by(ROWS) {
            let end = x.nrows().min(first + ROWS);
            let rows = x.slice_axis(Axis(0), Slice::from(first..end));
            let y = self.predict_with(rows, workspace)?;
            for (row, y) in y.rows().into_iter().enumerate() {
                f(first + row, y)?;
            }
        }
        Ok(())
    }
}
