use super::definition::{Loss, Targets, check_backward};
use crate::error::Error;
use bn_layers::softmax;
use bn_tensor::{Scalar, check_setting, try_zeros};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Zip};

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
    weight_sum: f64, // W of the last forward pass
}

impl<T: Scalar> Default for SoftmaxWithLoss<T> {
    fn default() -> Self {
        Self {
            y: Array2::zeros((0, 0)),
            rows: 0,
            label_smoothing: 0.0,
            class_weights: None,
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

    /// Whether a label's row of targets is one-hot, unweighted.
    fn is_plain(&self) -> bool {
        self.label_smoothing == 0.0 && self.class_weights.is_none()
    }

    fn weight(&self, class: usize) -> f64 {
        self.class_weights.as_ref().map_or(1.0, |w| w[class])
    }

    /// The target of class `k` in row `n`, before smoothing.
    fn target(t: Targets<'_, T>, n: usize, k: usize) -> f64 {
        match t {
            Targets::Labels(labels) => f64::from(u8::from(labels[n] == k)),
            Targets::Dense(values) => values[[n, k]].as_f64(),
        }
    }

    /// The same, smoothed and weighted: `wₖ·((1 − ε)·t + ε/C)`.
    fn weighted(&self, t: Targets<'_, T>, n: usize, k: usize, classes: usize) -> f64 {
        let epsilon = self.label_smoothing;
        let target = (1.0 - epsilon) * Self::target(t, n, k) + epsilon / classes as f64;
        self.weight(k) * target
    }
}

impl<T: Scalar> Loss<T> for SoftmaxWithLoss<T> {
    fn check(&self, rows: usize, width: usize, t: Targets<'_, T>) -> Result<(), Error> {
        let fits = match t {
            Targets::Labels(labels) => labels.len() == rows,
            Targets::Dense(values) => values.dim() == (rows, width),
        };
        if !fits {
            return Err(Error::Targets {
                loss: "SoftmaxWithLoss",
                expected: format!("{rows} labels, or values of shape [{rows}, {width}]"),
                got: t.describe(),
            });
        }
        if let Targets::Labels(labels) = t
            && let Some((row, &label)) = labels.iter().enumerate().find(|&(_, &l)| l >= width)
        {
            let classes = width;
            return Err(Error::LabelOutOfRange {
                row,
                label,
                classes,
            });
        }
        match &self.class_weights {
            Some(weights) if weights.len() != width => Err(Error::Targets {
                loss: "SoftmaxWithLoss",
                expected: format!("{width} class weights, one for each output"),
                got: format!("{}", weights.len()),
            }),
            _ => Ok(()),
        }
    }

    fn forward(&mut self, x: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<f64, Error> {
        let (n, classes) = x.dim();
        self.check(n, classes, t)?;
        if self.y.nrows() < n || self.y.ncols() != classes {
            self.y = try_zeros("SoftmaxWithLoss", (n, classes))?;
        }
        self.rows = n;

        if let (Targets::Labels(labels), true) = (t, self.is_plain()) {
            let mut loss = 0.0;
            for (row, (x, &label)) in x.rows().into_iter().zip(labels).enumerate() {
                loss += softmax(x, self.y.row_mut(row)) - x[label].as_f64();
            }
            self.weight_sum = n as f64;
            return Ok(loss / self.weight_sum);
        }
        let (mut loss, mut weight_sum) = (0.0, 0.0);
        for (row, x) in x.rows().into_iter().enumerate() {
            let log_sum = softmax(x, self.y.row_mut(row));
            for (k, &x) in x.iter().enumerate() {
                weight_sum += self.weight(k) * Self::target(t, row, k);
                let weighted = self.weighted(t, row, k, classes);
                if weighted != 0.0 {
                    loss += weighted * (log_sum - x.as_f64());
                }
            }
        }
        self.weight_sum = weight_sum;
        Ok(loss / weight_sum)
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
        check_backward("SoftmaxWithLoss", x.dim(), last, &dx)?;
        if let (Targets::Labels(labels), true) = (t, self.is_plain()) {
            let share = T::from_f64(self.weight_sum.recip());
            Zip::from(&mut dx)
                .and(self.y.slice_axis(Axis(0), (..n).into()))
                .for_each(|dx, &y| *dx = y * share);
            for (mut dx, &label) in dx.rows_mut().into_iter().zip(labels) {
                dx[label] -= share;
            }
            return Ok(());
        }
        for (row, (mut dx, y)) in dx.rows_mut().into_iter().zip(self.y.rows()).enumerate() {
            let sum: f64 = (0..classes)
                .map(|k| self.weighted(t, row, k, classes))
                .sum();
            for (k, (dx, &y)) in dx.iter_mut().zip(y).enumerate() {
                let weighted = self.weighted(t, row, k, classes);
                *dx = T::from_f64((y.as_f64() * sum - weighted) / self.weight_sum);
            }
        }
        Ok(())
    }
}
