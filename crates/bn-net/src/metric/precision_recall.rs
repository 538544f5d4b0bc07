use super::class_score::{ClassScore, ScoreFunction};

/// The share of the rows predicted as a class that are of this class: scikit-learn's `precision_score`,
/// Keras' `Precision`.
///
/// ```text
/// precision = true positives/predicted as the class          0 if none is
/// ```
///
/// See [`ClassScore`] for outputs, targets and thresholds, and [`Average`](super::Average) for several classes.
///
/// ```
/// use bn_net::{Average, Metric, Precision};
/// use ndarray::array;
/// let logits = array![[2.0], [1.0], [-1.0], [-2.0]];
/// let precision = Precision::binary(0.0)?.evaluate(logits.view(), (&[1, 0, 1, 0][..]).into())?;
/// assert_eq!(precision, 0.5);
/// let y = array![[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]];
/// let precision = Precision::new(Average::Macro).evaluate(y.view(), (&[0, 1, 0][..]).into())?;
/// assert_eq!(precision, (1.0 + 0.5) / 2.0);
/// # Ok::<(), bn_net::Error>(())
/// ```
pub type Precision = ClassScore<OfPrecision>;

/// The share of the rows of a class that are predicted as this class: scikit-learn's `recall_score`,
/// Keras' `Recall`.
///
/// ```text
/// recall = true positives/rows of the class          0 if there are none
/// ```
///
/// See [`ClassScore`] for outputs, targets and thresholds, and [`Average`](super::Average) for several classes.
///
/// ```
/// use bn_net::{Metric, Recall};
/// use ndarray::array;
/// let probabilities = array![[0.9], [0.8], [0.4], [0.1]];
/// let recall = Recall::binary(0.5)?.evaluate(probabilities.view(), (&[1, 0, 1, 1][..]).into())?;
/// assert_eq!(recall, 1.0 / 3.0);
/// # Ok::<(), bn_net::Error>(())
/// ```
pub type Recall = ClassScore<OfRecall>;

/// The harmonic mean of [`Precision`] and [`Recall`]: scikit-learn's `f1_score`, Keras' `F1Score`.
///
/// ```text
/// F1 = 2·true positives/(predicted as the class + rows of the class)
/// ```
///
/// See [`ClassScore`] for outputs, targets and thresholds, and [`Average`](super::Average) for several classes.
///
/// ```
/// use bn_net::{Average, F1, Metric};
/// use ndarray::array;
/// // Two labels for each row.
/// let (logits, t) = (array![[1.0, -1.0], [2.0, 0.5]], array![[1.0, 0.0], [0.0, 1.0]]);
/// let f1 = F1::new(Average::Micro).with_threshold(0.0)?;
/// assert_eq!(f1.evaluate(logits.view(), t.view().into())?, 2.0 * 2.0 / (3.0 + 2.0));
/// # Ok::<(), bn_net::Error>(())
/// ```
pub type F1 = ClassScore<OfF1>;

/// The function of [`Precision`].
#[derive(Debug, Clone, Copy)]
pub enum OfPrecision {}

impl ScoreFunction for OfPrecision {
    const NAME: &'static str = "precision";

    fn ratio([correct, predicted, _]: [u64; 3]) -> (u64, u64) {
        (correct, predicted)
    }
}

/// The function of [`Recall`].
#[derive(Debug, Clone, Copy)]
pub enum OfRecall {}

impl ScoreFunction for OfRecall {
    const NAME: &'static str = "recall";

    fn ratio([correct, _, of_class]: [u64; 3]) -> (u64, u64) {
        (correct, of_class)
    }
}

/// The function of [`F1`].
#[derive(Debug, Clone, Copy)]
pub enum OfF1 {}

impl ScoreFunction for OfF1 {
    const NAME: &'static str = "F1";

    fn ratio([correct, predicted, of_class]: [u64; 3]) -> (u64, u64) {
        (2 * correct, predicted + of_class)
    }
}
