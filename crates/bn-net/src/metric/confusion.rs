use super::{class_rule::ClassRule, definition::Metric};
use crate::{error::Error, targets::misfit};
use bn_data::Targets;
use bn_tensor::{Scalar, try_zeros};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

/// How often each class was predicted for each label. It is also a [`Metric`], whose value is the accuracy.
///
/// As a metric, the class of a row is its largest output, or, with a [threshold](Self::with_threshold), that of
/// a network with one output.
///
/// ```
/// use bn_net::ConfusionMatrix;
/// let mut m = ConfusionMatrix::new(2)?;
/// for (label, predicted) in [(0, 0), (0, 1), (1, 1), (1, 1)] {
///     m.add(label, predicted);
/// }
/// assert_eq!(m.accuracy(), 0.75);
/// assert_eq!(m.counts()[[0, 1]], 1); // a 0 classified as a 1
/// m.add(1, None); // a row without a prediction counts as wrong
/// assert_eq!(m.accuracy(), 0.6);
/// # Ok::<(), bn_net::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ConfusionMatrix {
    rule: ClassRule,
    counts: Array2<u64>,       // (C, C): [label, predicted]
    unclassified: Array1<u64>, // (C): rows of each label without a prediction
}

impl ConfusionMatrix {
    /// Creates an empty matrix for `classes` classes.
    ///
    /// # Errors
    /// [`bn_tensor::Error::TooLarge`] if there is no memory for so many classes.
    pub fn new(classes: usize) -> Result<Self, Error> {
        Ok(Self {
            rule: ClassRule::default(),
            counts: try_zeros("ConfusionMatrix", (classes, classes))?,
            unclassified: try_zeros("ConfusionMatrix", classes)?,
        })
    }

    /// The same for a network with one output, which is of class 1 above `threshold`: 0 for logits, 0.5 for
    /// probabilities.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a NaN.
    pub fn with_threshold(mut self, threshold: f64) -> Result<Self, Error> {
        self.rule = self.rule.with_threshold(threshold)?;
        Ok(self)
    }

    /// Counts a row with this label and the class that was predicted for it, or `None` if there is no
    /// prediction, as for a row whose output has a NaN. A label or class out of range is not counted.
    pub fn add(&mut self, label: usize, predicted: impl Into<Option<usize>>) {
        let count = match predicted.into() {
            Some(predicted) => self.counts.get_mut((label, predicted)),
            None => self.unclassified.get_mut(label),
        };
        if let Some(count) = count {
            *count += 1;
        }
    }

    /// The counts, `(C, C)`: `[label, predicted]`.
    pub fn counts(&self) -> ArrayView2<'_, u64> {
        self.counts.view()
    }

    /// The number of rows of each label without a prediction, `(C)`.
    pub fn unclassified(&self) -> ArrayView1<'_, u64> {
        self.unclassified.view()
    }

    /// The share of rows on the diagonal, as [`Network::accuracy`](crate::Network::accuracy); 0 if there
    /// are no rows.
    pub fn accuracy(&self) -> f64 {
        self.counts.diag().sum() as f64 / self.rows().max(1) as f64
    }

    fn rows(&self) -> u64 {
        self.counts.sum() + self.unclassified.sum()
    }
}

impl<T: Scalar> Metric<T> for ConfusionMatrix {
    fn name(&self) -> String {
        "accuracy of the confusion matrix".to_owned()
    }

    fn check(&self, rows: usize, width: usize, t: Targets<'_, T>) -> Result<(), Error> {
        let classes = self.counts.nrows();
        if ClassRule::classes(width) != classes {
            let expected = format!("outputs of {classes} classes");
            return Err(misfit(
                "ConfusionMatrix",
                expected,
                format!("{width} outputs"),
            ));
        }
        self.rule.check("ConfusionMatrix", (rows, width), t)
    }

    fn reset(&mut self) {
        self.counts.fill(0);
        self.unclassified.fill(0);
    }

    fn update(&mut self, y: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<(), Error> {
        self.check(y.nrows(), y.ncols(), t)?;
        for (n, row) in y.rows().into_iter().enumerate() {
            if let Some(label) = self.rule.target(t, n, y.ncols()) {
                self.add(label, self.rule.predicted(row));
            }
        }
        Ok(())
    }

    fn value(&self) -> f64 {
        match self.rows() {
            0 => f64::NAN,
            _ => self.accuracy(),
        }
    }
}

impl std::fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let classes = self.counts.nrows();
        let counts = self.counts.iter().chain(&self.unclassified);
        let width = counts.max().map_or(1, |m| m.to_string().len()).max(4) + 1;
        let has_unclassified = self.unclassified.sum() > 0;
        write!(f, "{:>6} ", "label")?;
        (0..classes).try_for_each(|k| write!(f, "{k:>width$}"))?;
        if has_unclassified {
            write!(f, "{:>width$}", "none")?;
        }
        writeln!(f, "   recall")?;
        for (k, row) in self.counts.outer_iter().enumerate() {
            write!(f, "{k:>6} ")?;
            row.iter().try_for_each(|n| write!(f, "{n:>width$}"))?;
            let unclassified = self.unclassified[k];
            if has_unclassified {
                write!(f, "{unclassified:>width$}")?;
            }
            let recall = 100.0 * row[k] as f64 / (row.sum() + unclassified).max(1) as f64;
            writeln!(f, " {recall:>6.2} %")?;
        }
        Ok(())
    }
}
