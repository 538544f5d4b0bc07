use super::definition::Metric;
use crate::{
    error::Error,
    targets::{arg_max, check_one_class, target_class},
};
use bn_data::Targets;
use bn_tensor::Scalar;
use ndarray::ArrayView2;

/// The share of rows whose largest output is that of their class: Keras' `Accuracy`,
/// scikit-learn's `accuracy_score`.
///
/// The outputs `(N, C)` may be logits or probabilities. The class is a label, or the largest value of a row
/// of targets `(N, C)`. A row with a NaN among its outputs counts as wrong; of equal outputs, the first is
/// the largest. For a network with one output, see [`BinaryAccuracy`](super::BinaryAccuracy).
///
/// ```
/// use bn_net::{Accuracy, Metric};
/// use ndarray::array;
/// let y = array![[0.1, 0.9], [0.8, 0.2], [f64::NAN, 0.3]];
/// assert_eq!(Accuracy::new().evaluate(y.view(), (&[1, 0, 1][..]).into())?, 2.0 / 3.0);
/// let one_hot = array![[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]];
/// assert_eq!(Accuracy::new().evaluate(y.view(), one_hot.view().into())?, 1.0 / 3.0);
/// # Ok::<(), bn_net::Error>(())
/// ```
///
/// # Errors
/// [`Error::Targets`], [`Error::LabelOutOfRange`]; [`bn_tensor::Error::InvalidSetting`] for a target that is
/// NaN.
#[derive(Debug, Clone, Default)]
pub struct Accuracy {
    ignored_label: Option<usize>,
    correct: u64,
    rows: u64,
}

impl Accuracy {
    /// Creates the metric, without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same without the rows of this label, as
    /// [`SoftmaxWithLoss`](crate::SoftmaxWithLoss::with_ignored_label).
    #[must_use]
    pub fn with_ignored_label(mut self, label: usize) -> Self {
        self.ignored_label = Some(label);
        self
    }
}

impl<T: Scalar> Metric<T> for Accuracy {
    fn name(&self) -> String {
        "accuracy".to_owned()
    }

    fn check(&self, rows: usize, width: usize, t: Targets<'_, T>) -> Result<(), Error> {
        check_one_class("Accuracy", (rows, width), self.ignored_label, t)
    }

    fn reset(&mut self) {
        (self.correct, self.rows) = (0, 0);
    }

    fn update(&mut self, y: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<(), Error> {
        self.check(y.nrows(), y.ncols(), t)?;
        for (n, y) in y.rows().into_iter().enumerate() {
            if let Some(class) = target_class(t, n, self.ignored_label) {
                self.rows += 1;
                self.correct += u64::from(arg_max(y) == Some(class));
            }
        }
        Ok(())
    }

    fn value(&self) -> f64 {
        self.correct as f64 / self.rows as f64
    }
}
