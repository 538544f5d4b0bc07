use super::definition::{Loss, Targets, arg_max, check_backward};
use crate::error::Error;
use bn_tensor::{Scalar, check_setting};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2};

/// The least logarithm of a probability, as in PyTorch: a wrong prediction with probability 1 has a loss of
/// 100.
const LEAST_LOG: f64 = -100.0;
/// The least `p·(1 − p)`: PyTorch's constant, which is an f32.
const LEAST_PRODUCT: f64 = 1e-12f32 as f64;

/// The cross entropy of values that are each true or false, averaged over all of them: the loss of a
/// discriminator.
///
/// ```text
/// of logits z          loss = max(z, 0) − z·t + log(1 + exp(−|z|))      dz = (sigmoid(z) − t)/(N·E)
/// of probabilities p   loss = −t·log p − (1 − t)·log(1 − p)             dp = (p − t)/(p·(1 − p))/(N·E)
/// ```
///
/// The mean over `x, t: (N, E)`, as `torch.nn.BCEWithLogitsLoss` and `torch.nn.BCELoss`; the
/// logarithms of probabilities are no less than −100, and `p·(1 − p)` no less than 1e-12. Targets are
/// values from 0 to 1, or, of one output, labels 0 and 1; with a
/// [label smoothing](Self::with_label_smoothing) of ε they are `(1 − ε)·t + ε/2`, as in Keras. On
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
    last: (usize, usize),
}

impl BinaryCrossEntropy {
    /// Of logits: the network ends without a sigmoid.
    pub fn on_logits() -> Self {
        Self {
            logits: true,
            label_smoothing: 0.0,
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

    /// The smoothed target of value `(n, k)`.
    fn target<T: Scalar>(&self, t: Targets<'_, T>, n: usize, k: usize) -> f64 {
        let target = match t {
            Targets::Labels(labels) => labels[n] as f64,
            Targets::Dense(values) => values[[n, k]].as_f64(),
        };
        (1.0 - self.label_smoothing) * target + self.label_smoothing / 2.0
    }

    fn loss(&self, x: f64, t: f64) -> f64 {
        if self.logits {
            return x.max(0.0) - x * t + (-x.abs()).exp().ln_1p();
        }
        // `max` would replace a NaN by the bound.
        let log = |p: f64| {
            if p.ln() < LEAST_LOG {
                LEAST_LOG
            } else {
                p.ln()
            }
        };
        -t * log(x) - (1.0 - t) * log(1.0 - x)
    }

    fn derivative(&self, x: f64, t: f64) -> f64 {
        if self.logits {
            return 1.0 / (1.0 + (-x).exp()) - t;
        }
        (x - t) / (x * (1.0 - x)).max(LEAST_PRODUCT)
    }
}

impl<T: Scalar> Loss<T> for BinaryCrossEntropy {
    fn check(&self, rows: usize, width: usize, t: Targets<'_, T>) -> Result<(), Error> {
        let fits = match t {
            Targets::Labels(labels) => labels.len() == rows && width == 1,
            Targets::Dense(values) => values.dim() == (rows, width),
        };
        if !fits {
            return Err(Error::Targets {
                loss: "BinaryCrossEntropy",
                expected: format!("values of shape [{rows}, {width}], or labels of one output"),
                got: t.describe(),
            });
        }
        match t {
            Targets::Labels(labels) => match labels.iter().enumerate().find(|&(_, &l)| l > 1) {
                Some((row, &label)) => Err(Error::LabelOutOfRange {
                    row,
                    label,
                    classes: 2,
                }),
                None => Ok(()),
            },
            Targets::Dense(values) => values.iter().try_for_each(|t| {
                let t = t.as_f64();
                check_setting("a target", "between 0 and 1", t, (0.0..=1.0).contains(&t))?;
                Ok(())
            }),
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
        Ok(losses.sum::<f64>() / x.len().max(1) as f64)
    }

    fn backward_into(
        &self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        mut dx: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        self.check(x.nrows(), x.ncols(), t)?;
        check_backward("BinaryCrossEntropy", x.dim(), self.last, &dx)?;
        let share = 1.0 / x.len().max(1) as f64;
        for ((place, dx), x) in dx.indexed_iter_mut().zip(x) {
            let t = self.target(t, place.0, place.1);
            *dx = T::from_f64(self.derivative(x.as_f64(), t) * share);
        }
        Ok(())
    }

    /// With one output, the class is 1 if its probability is above one half, and else 0.
    fn class_of(&self, y: ArrayView1<'_, T>) -> Option<usize> {
        let threshold = T::from_f64(if self.logits { 0.0 } else { 0.5 });
        match y.len() {
            1 => (!y[0].is_nan()).then_some(usize::from(y[0] > threshold)),
            _ => arg_max(y),
        }
    }
}
