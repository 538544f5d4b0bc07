use ndarray::{Array2, ArrayView2};

/// How often each class was predicted for each label.
///
/// ```
/// use bn_net::ConfusionMatrix;
/// let mut m = ConfusionMatrix::new(2);
/// for (label, predicted) in [(0, 0), (0, 1), (1, 1), (1, 1)] {
///     m.add(label, predicted);
/// }
/// assert_eq!(m.accuracy(), 0.75);
/// assert_eq!(m.counts()[[0, 1]], 1); // a 0 classified as a 1
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfusionMatrix {
    counts: Array2<u64>, // (C, C): [label, predicted]
}

impl ConfusionMatrix {
    /// Creates an empty matrix for `classes` classes.
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
