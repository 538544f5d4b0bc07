use super::definition::Metric;
use crate::{
    error::Error,
    targets::{check_binary, is_above, target_value},
};
use bn_data::Targets;
use bn_tensor::{Scalar, check_setting};
use ndarray::ArrayView2;

/// The share of values that are on the same side of a threshold as their targets: Keras' `BinaryAccuracy`.
///
/// Each of the outputs `(N, E)` is compared with a target of its own: a label 0 or 1 of one output, or a value
/// from 0 to 1, which is positive above one half. With [`per_row`](Self::per_row), a row is correct
/// only if all its values are: scikit-learn's `accuracy_score` of several labels, the subset accuracy. A NaN
/// counts as wrong.
///
/// ```
/// use bn_net::{BinaryAccuracy, Metric};
/// use ndarray::array;
/// let (y, t) = (array![[2.0, -1.0], [0.5, 3.0]], array![[1.0, 0.0], [0.0, 1.0]]);
/// assert_eq!(BinaryAccuracy::on_logits().evaluate(y.view(), t.view().into())?, 0.75);
/// assert_eq!(BinaryAccuracy::on_logits().per_row().evaluate(y.view(), t.view().into())?, 0.5);
/// # Ok::<(), bn_net::Error>(())
/// ```
///
/// # Errors
/// [`Error::Targets`], [`Error::LabelOutOfRange`]; [`bn_tensor::Error::InvalidSetting`] for a target that is
/// not between 0 and 1.
#[derive(Debug, Clone)]
pub struct BinaryAccuracy {
    threshold: f64,
    per_row: bool,
    correct: u64,
    count: u64,
}

impl BinaryAccuracy {
    /// Creates the metric for logits: the threshold is 0.
    pub fn on_logits() -> Self {
        Self {
            threshold: 0.0,
            per_row: false,
            correct: 0,
            count: 0,
        }
    }

    /// Creates the metric for probabilities: the threshold is 0.5.
    pub fn on_probabilities() -> Self {
        Self {
            threshold: 0.5,
            ..Self::on_logits()
        }
    }

    /// The same with another threshold. An output is positive above it.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a NaN.
    pub fn with_threshold(mut self, threshold: f64) -> Result<Self, Error> {
        check_setting("the threshold", "a number", threshold, !threshold.is_nan())?;
        self.threshold = threshold;
        Ok(self)
    }

    /// Counts rows whose values are all correct, instead of values.
    #[must_use]
    pub fn per_row(mut self) -> Self {
        self.per_row = true;
        self
    }
}

impl<T: Scalar> Metric<T> for BinaryAccuracy {
    fn name(&self) -> String {
        let name = if self.per_row {
            "subset accuracy"
        } else {
            "accuracy"
        };
        name.to_owned()
    }

    fn check(&self, rows: usize, width: usize, t: Targets<'_, T>) -> Result<(), Error> {
        check_binary("BinaryAccuracy", (rows, width), None, t)
    }

    fn reset(&mut self) {
        (self.correct, self.count) = (0, 0);
    }

    fn update(&mut self, y: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<(), Error> {
        self.check(y.nrows(), y.ncols(), t)?;
        for (n, y) in y.rows().into_iter().enumerate() {
            let is_correct = |&(k, &y): &(usize, &T)| {
                is_above(y, self.threshold) == Some(target_value(t, n, k) > 0.5)
            };
            let correct = y.iter().enumerate().filter(is_correct).count();
            if self.per_row {
                self.correct += u64::from(correct == y.len());
                self.count += 1;
            } else {
                self.correct += correct as u64;
                self.count += y.len() as u64;
            }
        }
        Ok(())
    }

    fn value(&self) -> f64 {
        self.correct as f64 / self.count as f64
    }
}
