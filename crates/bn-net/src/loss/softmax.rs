use super::{
    definition::{Loss, check_backward},
    reduction::Reduction,
};
use crate::{
    error::Error,
    metric::{Accuracy, Metric},
    targets::{check_classes, misfit},
};
use bn_data::Targets;
use bn_layers::softmax;
use bn_tensor::{Scalar, check_setting, try_zeros};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Zip};

const NAME: &str = "SoftmaxWithLoss";

/// Softmax followed by the cross-entropy error, for classification. The book's `SoftmaxWithLoss`
/// (`common/layers.py`).
///
/// ```text
/// y    = exp(x)/Σₖ exp(xₖ)                        x, y: (N, C)
/// loss = Σₙ Σₖ −wₖ·tₙₖ·log(yₙₖ)/W                 W = Σₙ Σₖ wₖ·tₙₖ
/// dx   = (y·Σₖ wₖ·tₖ − w·t)/W
/// ```
///
/// Without class weights w is 1, and W is N for one-hot targets. `t` is the one-hot row of a label
/// or a dense row of targets; with a [label smoothing](Self::with_label_smoothing) of ε it is
/// `(1 − ε)·t + ε/C` (arXiv:1512.00567), while W keeps the unsmoothed `t`, as in
/// `torch.nn.CrossEntropyLoss`.
///
/// Rows with the [ignored label](Self::with_ignored_label) have no loss and no gradient, and do not count
/// in W. With [`Reduction::Sum`] nothing is divided by W. If W is 0, because all rows are ignored, the mean
/// and its gradient are 0. (PyTorch returns NaN; here a part of a batch may be ignored as a whole.)
///
/// `log y` is computed as `x − max − log Σ exp(x − max)`: logits of ±1e4 give the exact loss, and
/// a probability of 0 a finite one, where the book adds 1e-7 to keep the logarithm finite.
///
/// ```
/// use bn_net::{Loss, SoftmaxWithLoss};
/// use ndarray::array;
/// let logits = array![[0.0f32, 0.0], [1e4, -1e4]];
/// let mut loss = SoftmaxWithLoss::new();
/// let value = loss.forward(logits.view(), (&[0, 1][..]).into())?;
/// assert_eq!(value, (2f64.ln() + 2e4) / 2.0);
/// # Ok::<(), bn_net::Error>(())
/// ```
///
/// # Errors
/// [`Error::LabelOutOfRange`], [`Error::Targets`].
#[derive(Debug, Clone)]
pub struct SoftmaxWithLoss<T> {
    y: Array2<T>, // (N, C): the probabilities of the last forward pass
    rows: usize,
    label_smoothing: f64,
    class_weights: Option<Vec<f64>>,
    ignored_label: Option<usize>,
    reduction: Reduction,
    weight_sum: f64, // W of the last forward pass
}

impl<T: Scalar> Default for SoftmaxWithLoss<T> {
    fn default() -> Self {
        Self {
            y: Array2::zeros((0, 0)),
            rows: 0,
            label_smoothing: 0.0,
            class_weights: None,
            ignored_label: None,
            reduction: Reduction::Mean,
            weight_sum: 0.0,
        }
    }
}

impl<T: Scalar> SoftmaxWithLoss<T> {
    /// The book's: no label smoothing, no class weights.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with the targets smoothed by ε.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] unless `0 ≤ ε ≤ 1`.
    pub fn with_label_smoothing(mut self, epsilon: f64) -> Result<Self, Error> {
        let passes = (0.0..=1.0).contains(&epsilon);
        check_setting("the label smoothing", "between 0 and 1", epsilon, passes)?;
        self.label_smoothing = epsilon;
        Ok(self)
    }

    /// The same with a weight for each class, `(C)`.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a negative or non-finite weight.
    pub fn with_class_weights(mut self, weights: Vec<f64>) -> Result<Self, Error> {
        for &w in &weights {
            let passes = w.is_finite() && w >= 0.0;
            check_setting("a class weight", "a finite number, 0 or more", w, passes)?;
        }
        self.class_weights = Some(weights);
        Ok(self)
    }

    /// The same for batches in which `label` marks rows that do not count, as PyTorch's `ignore_index`. It
    /// may be any number, also one that is no class. Dense targets have no ignored rows.
    ///
    /// ```
    /// use bn_net::{Loss, SoftmaxWithLoss};
    /// let x = ndarray::array![[0.0, 0.0], [5.0, -5.0]];
    /// let mut loss = SoftmaxWithLoss::<f64>::new().with_ignored_label(usize::MAX);
    /// assert_eq!(loss.forward(x.view(), (&[1, usize::MAX][..]).into())?, 2f64.ln());
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    #[must_use]
    pub fn with_ignored_label(mut self, label: usize) -> Self {
        self.ignored_label = Some(label);
        self
    }

    /// The same with another reduction. The default is the mean.
    #[must_use]
    pub fn with_reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }

    fn is_ignored(&self, label: usize) -> bool {
        self.ignored_label == Some(label)
    }

    /// Whether row `n` does not count.
    fn ignores(&self, t: Targets<'_, T>, n: usize) -> bool {
        matches!(t, Targets::Labels(labels) if self.is_ignored(labels[n]))
    }

    /// Whether a label's row of targets is one-hot, unweighted.
    fn is_plain(&self) -> bool {
        self.label_smoothing == 0.0 && self.class_weights.is_none()
    }

    /// The weight of a class; 0 for one that has none.
    fn class_weight(&self, class: usize) -> f64 {
        let weights = self.class_weights.as_ref();
        weights.map_or(1.0, |w| w.get(class).copied().unwrap_or(0.0))
    }

    /// W: the sum of the weights of the targets.
    fn sum_of_weights(&self, t: Targets<'_, T>) -> f64 {
        match t {
            Targets::Labels(labels) => {
                let counted = labels.iter().filter(|&&label| !self.is_ignored(label));
                counted.map(|&label| self.class_weight(label)).sum()
            }
            Targets::Dense(values) => {
                let weighted = |((_, k), t): (_, &T)| self.class_weight(k) * t.as_f64();
                values.indexed_iter().map(weighted).sum()
            }
        }
    }

    /// The target of class `k` in row `n`, smoothed and weighted: `wₖ·((1 − ε)·t + ε/C)`.
    fn weighted(&self, t: Targets<'_, T>, n: usize, k: usize, classes: usize) -> f64 {
        let target = match t {
            Targets::Labels(labels) => f64::from(u8::from(labels[n] == k)),
            Targets::Dense(values) => values[[n, k]].as_f64(),
        };
        let epsilon = self.label_smoothing;
        self.class_weight(k) * ((1.0 - epsilon) * target + epsilon / classes as f64)
    }
}

impl<T: Scalar> Loss<T> for SoftmaxWithLoss<T> {
    fn check(&self, rows: usize, width: usize, t: Targets<'_, T>) -> Result<(), Error> {
        check_classes(NAME, (rows, width), self.ignored_label, t)?;
        match &self.class_weights {
            Some(weights) if weights.len() != width => {
                let expected = format!("{width} class weights, one for each output");
                Err(misfit(NAME, expected, weights.len().to_string()))
            }
            _ => Ok(()),
        }
    }

    fn forward(&mut self, x: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<f64, Error> {
        let (n, classes) = x.dim();
        self.check(n, classes, t)?;
        if self.y.nrows() < n || self.y.ncols() != classes {
            self.y = try_zeros(NAME, (n, classes))?;
        }
        self.rows = n;

        self.weight_sum = self.sum_of_weights(t);
        let mut loss = 0.0;
        if let (Targets::Labels(labels), true) = (t, self.is_plain()) {
            for (row, (x, &label)) in x.rows().into_iter().zip(labels).enumerate() {
                if !self.is_ignored(label) {
                    loss += softmax(x, self.y.row_mut(row)) - x[label].as_f64();
                }
            }
            return Ok(self.reduction.reduce(loss, self.weight_sum));
        }
        for (row, x) in x.rows().into_iter().enumerate() {
            if self.ignores(t, row) {
                continue;
            }
            let log_sum = softmax(x, self.y.row_mut(row));
            for (k, &x) in x.iter().enumerate() {
                let weighted = self.weighted(t, row, k, classes);
                if weighted != 0.0 {
                    loss += weighted * (log_sum - x.as_f64());
                }
            }
        }
        Ok(self.reduction.reduce(loss, self.weight_sum))
    }

    fn backward_into(
        &self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        mut dx: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        let (n, classes) = x.dim();
        self.check(n, classes, t)?;
        let last = (self.rows, self.y.ncols());
        check_backward(NAME, x.dim(), last, &dx)?;
        if let (Targets::Labels(labels), true) = (t, self.is_plain()) {
            let share = T::from_f64(self.reduction.reduce(1.0, self.weight_sum));
            Zip::from(&mut dx)
                .and(self.y.slice_axis(Axis(0), (..n).into()))
                .for_each(|dx, &y| *dx = y * share);
            for (mut dx, &label) in dx.rows_mut().into_iter().zip(labels) {
                if self.is_ignored(label) {
                    dx.fill(T::zero());
                } else {
                    dx[label] -= share;
                }
            }
            return Ok(());
        }
        for (row, (mut dx, y)) in dx.rows_mut().into_iter().zip(self.y.rows()).enumerate() {
            if self.ignores(t, row) {
                dx.fill(T::zero());
                continue;
            }
            let sum: f64 = (0..classes)
                .map(|k| self.weighted(t, row, k, classes))
                .sum();
            for (k, (dx, &y)) in dx.iter_mut().zip(y).enumerate() {
                let weighted = self.weighted(t, row, k, classes);
                let gradient = y.as_f64() * sum - weighted;
                *dx = T::from_f64(self.reduction.reduce(gradient, self.weight_sum));
            }
        }
        Ok(())
    }

    fn weight(&self, _: usize, _: usize, t: Targets<'_, T>) -> f64 {
        self.reduction.weight(self.sum_of_weights(t))
    }

    /// The accuracy.
    fn metrics(&self) -> Vec<Box<dyn Metric<T>>> {
        let accuracy = Accuracy::new();
        vec![Box::new(match self.ignored_label {
            Some(label) => accuracy.with_ignored_label(label),
            None => accuracy,
        })]
    }

    fn is_sum(&self) -> bool {
        self.reduction == Reduction::Sum
    }
}
