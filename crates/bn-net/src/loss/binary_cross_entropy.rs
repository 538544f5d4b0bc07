use super::{
    definition::{Loss, check_backward},
    reduction::Reduction,
};
use crate::{
    error::Error,
    metric::{BinaryAccuracy, Metric},
    targets::{check_binary, misfit, target_value},
};
use bn_data::Targets;
use bn_tensor::{Scalar, check_setting};
use ndarray::{ArrayView2, ArrayViewMut2};

const NAME: &str = "BinaryCrossEntropy";
/// The least logarithm of a probability, as in PyTorch: a wrong prediction with probability 1 has a loss of
/// 100.
const LEAST_LOG: f64 = -100.0;
/// The least `p·(1 − p)`: PyTorch's constant, which is an f32.
const LEAST_PRODUCT: f64 = 1e-12f32 as f64;

/// The cross entropy of values that are each true or false, averaged over all of them: the loss of a
/// discriminator, or of examples that have several labels at once, one for each output.
///
/// ```text
/// of logits z          loss = max(z, 0) − z·t + log(1 + exp(−|z|))      dz = (sigmoid(z) − t)/(N·E)
/// of probabilities p   loss = −t·log p − (1 − t)·log(1 − p)             dp = (p − t)/(p·(1 − p))/(N·E)
/// with weights w       loss = −wₖ·t·log p − (1 − t)·log(1 − p)          p = sigmoid(z)
/// ```
///
/// The mean over `x, t: (N, E)`, or the [sum](Reduction::Sum), as `torch.nn.BCEWithLogitsLoss` and `torch.nn.BCELoss`; the
/// logarithms of probabilities are no less than −100, and `p·(1 − p)` no less than 1e-12. Targets are
/// values from 0 to 1, or, of one output, labels 0 and 1; with a
/// [label smoothing](Self::with_label_smoothing) of ε they are `(1 − ε)·t + ε/2`, as in Keras. The
/// weights of positive targets are described at [`with_positive_weights`](Self::with_positive_weights). On
/// logits it is exact at ±1e4: prefer them.
///
/// ```
/// use bn_net::{BinaryCrossEntropy, Loss};
/// use ndarray::array;
/// let (logits, t) = (array![[0.0], [1e4], [-1e4]], vec![1, 1, 1]);
/// let loss = BinaryCrossEntropy::on_logits().forward(logits.view(), (&t).into())?;
/// assert!((loss - (2f64.ln() + 0.0 + 1e4) / 3.0).abs() < 1e-12);
/// # Ok::<(), bn_net::Error>(())
/// ```
///
/// # Errors
/// [`Error::Targets`], [`Error::LabelOutOfRange`]; [`bn_tensor::Error::InvalidSetting`] for a target or a
/// probability that is not between 0 and 1.
#[derive(Debug, Clone)]
pub struct BinaryCrossEntropy {
    logits: bool,
    label_smoothing: f64,
    positive_weights: Option<Vec<f64>>, // (E)
    reduction: Reduction,
    last: (usize, usize),
}

impl BinaryCrossEntropy {
    /// Of logits: the network ends without a sigmoid.
    pub fn on_logits() -> Self {
        Self {
            logits: true,
            label_smoothing: 0.0,
            positive_weights: None,
            reduction: Reduction::Mean,
            last: (0, 0),
        }
    }

    /// Of probabilities: the network ends with a sigmoid.
    pub fn on_probabilities() -> Self {
        Self {
            logits: false,
            ..Self::on_logits()
        }
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

    /// The same with a weight for each output, `(E)`, which multiplies the loss of positive targets, as
    /// PyTorch's `pos_weight`: with the number of negative examples divided by that of positive ones, both
    /// kinds count the same. The mean is still over N·E.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a negative or non-finite weight.
    pub fn with_positive_weights(mut self, weights: Vec<f64>) -> Result<Self, Error> {
        for &w in &weights {
            let passes = w.is_finite() && w >= 0.0;
            check_setting("a positive weight", "a finite number, 0 or more", w, passes)?;
        }
        self.positive_weights = Some(weights);
        Ok(self)
    }

    /// The same with another reduction. The default is the mean.
    #[must_use]
    pub fn with_reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }

    /// The smoothed target of value `(n, k)`, as the weights of both cases.
    fn target<T: Scalar>(&self, t: Targets<'_, T>, n: usize, k: usize) -> Target {
        let epsilon = self.label_smoothing;
        let t = (1.0 - epsilon) * target_value(t, n, k) + epsilon / 2.0;
        Target {
            positive: self.positive_weights.as_ref().map_or(1.0, |w| w[k]) * t,
            negative: 1.0 - t,
        }
    }

    fn loss(&self, x: f64, t: Target) -> f64 {
        if self.logits {
            let weight = t.weight();
            return weight * x.max(0.0) - x * t.positive + weight * (-x.abs()).exp().ln_1p();
        }
        // `max` would replace a NaN by the bound.
        let log = |p: f64| {
            if p.ln() < LEAST_LOG {
                LEAST_LOG
            } else {
                p.ln()
            }
        };
        -t.positive * log(x) - t.negative * log(1.0 - x)
    }

    fn derivative(&self, x: f64, t: Target) -> f64 {
        if self.logits {
            return t.weight() / (1.0 + (-x).exp()) - t.positive;
        }
        (t.weight() * x - t.positive) / (x * (1.0 - x)).max(LEAST_PRODUCT)
    }
}

/// The weights of `−log p` and `−log(1 − p)` in the loss of a value.
#[derive(Clone, Copy)]
struct Target {
    positive: f64, // w·t
    negative: f64, // 1 − t
}

impl Target {
    /// The sum of both, which is exactly 1 without a weight of positive targets.
    fn weight(self) -> f64 {
        self.negative + self.positive
    }
}

impl<T: Scalar> Loss<T> for BinaryCrossEntropy {
    fn check(&self, rows: usize, width: usize, t: Targets<'_, T>) -> Result<(), Error> {
        check_binary(NAME, (rows, width), None, t)?;
        match &self.positive_weights {
            Some(weights) if weights.len() != width => {
                let expected = format!("{width} positive weights, one for each output");
                Err(misfit(NAME, expected, weights.len().to_string()))
            }
            _ => Ok(()),
        }
    }

    fn forward(&mut self, x: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<f64, Error> {
        self.check(x.nrows(), x.ncols(), t)?;
        if !self.logits {
            for p in x {
                let p = p.as_f64();
                let passes = (0.0..=1.0).contains(&p) || p.is_nan(); // a NaN makes the loss NaN
                check_setting("a probability", "between 0 and 1", p, passes)?;
            }
        }
        self.last = x.dim();
        let losses = x
            .indexed_iter()
            .map(|((n, k), x)| self.loss(x.as_f64(), self.target(t, n, k)));
        Ok(self.reduction.reduce(losses.sum(), x.len() as f64))
    }

    fn backward_into(
        &self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        mut dx: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        self.check(x.nrows(), x.ncols(), t)?;
        check_backward(NAME, x.dim(), self.last, &dx)?;
        let share = self.reduction.reduce(1.0, x.len() as f64);
        for ((place, dx), x) in dx.indexed_iter_mut().zip(x) {
            let t = self.target(t, place.0, place.1);
            *dx = T::from_f64(self.derivative(x.as_f64(), t) * share);
        }
        Ok(())
    }

    fn weight(&self, rows: usize, _: usize, _: Targets<'_, T>) -> f64 {
        self.reduction.weight(rows as f64)
    }

    /// The share of values on the right side of the threshold, which is 0 for logits and 0.5 for probabilities.
    fn metrics(&self) -> Vec<Box<dyn Metric<T>>> {
        vec![Box::new(if self.logits {
            BinaryAccuracy::on_logits()
        } else {
            BinaryAccuracy::on_probabilities()
        })]
    }

    fn is_sum(&self) -> bool {
        self.reduction == Reduction::Sum
    }
}
