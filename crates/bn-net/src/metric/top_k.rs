use super::definition::Metric;
use crate::{
    error::Error,
    targets::{check_one_class, misfit, target_class},
};
use bn_data::Targets;
use bn_tensor::{Scalar, check_setting};
use ndarray::{ArrayView1, ArrayView2};

/// The share of rows whose class is among the `k` largest outputs: Keras' `TopKCategoricalAccuracy`,
/// scikit-learn's `top_k_accuracy_score`.
///
/// Outputs and targets are those of [`Accuracy`](super::Accuracy), which is the case k = 1. A row with a NaN
/// among its outputs counts as wrong; of equal outputs, the first is the largest.
///
/// ```
/// use bn_net::{Metric, TopK};
/// use ndarray::array;
/// let y = array![[0.5, 0.3, 0.2], [0.1, 0.7, 0.2]];
/// assert_eq!(TopK::new(2)?.evaluate(y.view(), (&[1, 0][..]).into())?, 0.5);
/// # Ok::<(), bn_net::Error>(())
/// ```
///
/// # Errors
/// As [`Accuracy`](super::Accuracy); [`Error::Targets`] if there are fewer than `k` outputs.
#[derive(Debug, Clone)]
pub struct TopK {
    k: usize,
    ignored_label: Option<usize>,
    correct: u64,
    rows: u64,
}

impl TopK {
    /// Creates the metric for the `k` largest outputs.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a `k` of 0.
    pub fn new(k: usize) -> Result<Self, Error> {
        check_setting("k", "at least 1", k as f64, k > 0)?;
        Ok(Self {
            k,
            ignored_label: None,
            correct: 0,
            rows: 0,
        })
    }

    /// The same without the rows of this label.
    #[must_use]
    pub fn with_ignored_label(mut self, label: usize) -> Self {
        self.ignored_label = Some(label);
        self
    }

    fn is_correct<T: Scalar>(&self, y: ArrayView1<'_, T>, class: usize) -> bool {
        let value = y[class];
        let is_larger = |&(k, &v): &(usize, &T)| v > value || (v == value && k < class);
        !y.iter().any(|v| v.is_nan()) && y.iter().enumerate().filter(is_larger).count() < self.k
    }
}

impl<T: Scalar> Metric<T> for TopK {
    fn name(&self) -> String {
        format!("top-{} accuracy", self.k)
    }

    fn check(&self, rows: usize, width: usize, t: Targets<'_, T>) -> Result<(), Error> {
        if width < self.k {
            let expected = format!("at least {} outputs", self.k);
            return Err(misfit("TopK", expected, width.to_string()));
        }
        check_one_class("TopK", (rows, width), self.ignored_label, t)
    }

    fn reset(&mut self) {
        (self.correct, self.rows) = (0, 0);
    }

    fn update(&mut self, y: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<(), Error> {
        self.check(y.nrows(), y.ncols(), t)?;
        for (n, y) in y.rows().into_iter().enumerate() {
            if let Some(class) = target_class(t, n, self.ignored_label) {
                self.rows += 1;
                self.correct += u64::from(self.is_correct(y, class));
            }
        }
        Ok(())
    }

    fn value(&self) -> f64 {
        self.correct as f64 / self.rows as f64
    }
}
