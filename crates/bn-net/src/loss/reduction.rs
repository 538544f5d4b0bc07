/// How the losses of a batch become one number.
///
/// ```
/// use bn_net::{Loss, MeanAbsoluteError, Reduction};
/// use ndarray::array;
/// let (x, t) = (array![[1.0, 2.0]], array![[0.0, 4.0]]);
/// let mut loss = MeanAbsoluteError::new();
/// assert_eq!(loss.forward(x.view(), t.view().into())?, 1.5);
/// let mut loss = loss.with_reduction(Reduction::Sum);
/// assert_eq!(loss.forward(x.view(), t.view().into())?, 3.0);
/// # Ok::<(), bn_net::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reduction {
    /// The mean. What the sum is divided by is part of the formula of each loss.
    #[default]
    Mean,
    /// The sum.
    Sum,
}

impl Reduction {
    /// Divides `sum` by `count` if this is the mean. A mean of nothing is 0.
    pub(super) fn reduce(self, sum: f64, count: f64) -> f64 {
        match self {
            Self::Mean if count == 0.0 => 0.0,
            Self::Mean => sum / count,
            Self::Sum => sum,
        }
    }

    /// The [weight](super::Loss::weight) of a batch whose mean is over `count`.
    pub(super) fn weight(self, count: f64) -> f64 {
        match self {
            Self::Mean => count,
            Self::Sum => 1.0,
        }
    }
}
