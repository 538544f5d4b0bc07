use super::{
    class_rule::ClassRule,
    definition::Metric,
    roc::{counts_by_score, sort},
};
use crate::{error::Error, targets::misfit};
use bn_data::Targets;
use bn_tensor::{Scalar, try_resize};
use ndarray::{ArrayView1, ArrayView2};
use std::cell::RefCell;

/// The area under the ROC curve of two classes: the probability that a row of class 1 has a higher score than a
/// row of class 0, where a tie counts one half. It is scikit-learn's `roc_auc_score`, computed exactly, without
/// the thresholds of Keras' `AUC`.
///
/// The score is the output of a network with one output, and of two outputs the second minus the first: logits
/// or probabilities, since only their order matters. Targets are labels 0 and 1, values of one output, which
/// are positive above one half, or rows of two values, the larger of which is the class. The value is NaN if
/// only one class occurs or a score is NaN. All scores are kept, 16 bytes for each row.
///
/// ```
/// use bn_net::{Auc, Metric};
/// use ndarray::array;
/// let scores = array![[0.1], [0.4], [0.35], [0.8]];
/// assert_eq!(Auc::new().evaluate(scores.view(), (&[0, 0, 1, 1][..]).into())?, 0.75);
/// # Ok::<(), bn_net::Error>(())
/// ```
///
/// # Errors
/// [`Error::Targets`], [`Error::LabelOutOfRange`]; [`bn_tensor::Error::InvalidSetting`] for a target out of
/// range; [`bn_tensor::Error::TooLarge`] if there is no memory for the scores.
#[derive(Debug, Clone)]
pub struct Auc {
    rule: ClassRule,
    rows: RefCell<Vec<(f64, bool)>>, // scores and classes, which `value` sorts in place
}

impl Default for Auc {
    fn default() -> Self {
        let rule = ClassRule {
            threshold: Some(0.0), // which admits one output
            ignored_label: None,
        };
        let rows = RefCell::default();
        Self { rule, rows }
    }
}

impl Auc {
    /// Creates the metric, without rows.
    pub fn new() -> Self {
        Self::default()
    }
}

fn score<T: Scalar>(y: ArrayView1<'_, T>) -> f64 {
    match y.len() {
        1 => y[0].as_f64(),
        _ => y[1].as_f64() - y[0].as_f64(),
    }
}

impl<T: Scalar> Metric<T> for Auc {
    fn name(&self) -> String {
        "AUC".to_owned()
    }

    fn check(&self, rows: usize, width: usize, t: Targets<'_, T>) -> Result<(), Error> {
        if ClassRule::classes(width) != 2 {
            return Err(misfit("Auc", "1 output or 2", format!("{width} outputs")));
        }
        self.rule.check("Auc", (rows, width), t)
    }

    fn reset(&mut self) {
        self.rows.get_mut().clear();
    }

    fn update(&mut self, y: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<(), Error> {
        let (n, width) = y.dim();
        self.check(n, width, t)?;
        let rows = self.rows.get_mut();
        let before = rows.len();
        try_resize("Auc", rows, &[before.saturating_add(n)])?;
        for (n, (row, y)) in rows[before..].iter_mut().zip(y.rows()).enumerate() {
            *row = (score(y), self.rule.target(t, n, width) == Some(1));
        }
        Ok(())
    }

    fn value(&self) -> f64 {
        let rows = &mut *self.rows.borrow_mut();
        if rows.iter().any(|row| row.0.is_nan()) {
            return f64::NAN;
        }
        sort(rows);
        // Twice the area in units of one pair of rows: trapezoids between neighbouring points.
        let (mut area, mut last) = (0u128, (0, 0));
        for (_, negative, positive) in counts_by_score(rows) {
            area += u128::from(negative - last.0) * u128::from(positive + last.1);
            last = (negative, positive);
        }
        area as f64 / (2.0 * last.0 as f64 * last.1 as f64)
    }
}
