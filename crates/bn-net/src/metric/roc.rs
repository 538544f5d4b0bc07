use crate::{
    error::Error,
    targets::{check_labels, misfit},
};
use bn_tensor::{Scalar, check_setting, try_resize};
use ndarray::ArrayView1;

/// The ROC curve of a classifier of two classes, from [`roc_curve`]. A row is predicted as positive if its score
/// is at least the threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct RocCurve {
    /// The share of the negative rows that are predicted as positive, from 0 to 1.
    pub fpr: Vec<f64>,
    /// The share of the positive rows that are predicted as positive, from 0 to 1.
    pub tpr: Vec<f64>,
    /// The thresholds, from the largest down. The first is infinite: no row is predicted as positive.
    pub thresholds: Vec<f64>,
}

/// The false positive rate and the true positive rate at each threshold, as scikit-learn's `roc_curve`: `labels`
/// `(N)` are 0 or 1, and `scores: (N)` are higher for a likely 1, such as logits or probabilities.
///
/// Points on the line between their neighbours are left out if the steps are equal, as scikit-learn's
/// `drop_intermediate` does. The area under the curve is the metric [`Auc`](super::Auc).
///
/// ```
/// let (labels, scores) = ([0, 0, 1, 1], ndarray::array![0.1, 0.4, 0.35, 0.8]);
/// let curve = bn_net::roc_curve(&labels, scores.view())?;
/// assert_eq!(curve.fpr, [0.0, 0.0, 0.5, 0.5, 1.0]);
/// assert_eq!(curve.tpr, [0.0, 0.5, 0.5, 1.0, 1.0]);
/// assert_eq!(curve.thresholds, [f64::INFINITY, 0.8, 0.4, 0.35, 0.1]);
/// # Ok::<(), bn_net::Error>(())
/// ```
///
/// # Errors
/// [`Error::Targets`] unless there are as many labels as scores, and some of each class;
/// [`Error::LabelOutOfRange`]; [`bn_tensor::Error::InvalidSetting`] for a score that is NaN.
pub fn roc_curve<T: Scalar>(
    labels: &[usize],
    scores: ArrayView1<'_, T>,
) -> Result<RocCurve, Error> {
    if labels.len() != scores.len() {
        let expected = format!("{} labels", scores.len());
        return Err(misfit("roc_curve", expected, labels.len().to_string()));
    }
    check_labels(labels, 2, None)?;
    if scores.iter().any(|score| score.is_nan()) {
        check_setting("a score", "a number", f64::NAN, false)?;
    }
    let mut rows = Vec::new();
    try_resize("roc_curve", &mut rows, &[labels.len()])?;
    for ((row, &label), score) in rows.iter_mut().zip(labels).zip(scores) {
        *row = (score.as_f64(), label == 1);
    }
    sort(&mut rows);

    let mut points = Vec::new(); // (threshold, false positives, true positives)
    try_resize("roc_curve", &mut points, &[labels.len()])?;
    points.clear();
    points.extend(counts_by_score(&rows));
    let Some(&(_, negative @ 1.., positive @ 1..)) = points.last() else {
        let expected = "labels of both classes, 0 and 1";
        return Err(misfit("roc_curve", expected, "labels of at most one"));
    };
    let is_corner = |i: usize| {
        let (Some(before), Some(after)) = (i.checked_sub(1), points.get(i + 1)) else {
            return true;
        };
        let (before, at) = (points[before], points[i]);
        let steps = [
            (at.1 - before.1, after.1 - at.1),
            (at.2 - before.2, after.2 - at.2),
        ];
        steps.iter().any(|(step, next)| step != next)
    };
    let corners = (0..points.len()).filter(|&i| is_corner(i));
    let curve = std::iter::once((f64::INFINITY, 0, 0)).chain(corners.map(|i| points[i]));
    let mut roc = RocCurve {
        fpr: Vec::new(),
        tpr: Vec::new(),
        thresholds: Vec::new(),
    };
    for (threshold, false_positives, true_positives) in curve {
        roc.thresholds.push(threshold);
        roc.fpr.push(false_positives as f64 / negative as f64);
        roc.tpr.push(true_positives as f64 / positive as f64);
    }
    Ok(roc)
}

/// Sorts rows of scores and classes from the largest score down.
pub(super) fn sort(rows: &mut [(f64, bool)]) {
    rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
}

/// For each distinct score of sorted rows: the score, and how many negative and how many positive rows have at
/// least this score.
pub(super) fn counts_by_score(rows: &[(f64, bool)]) -> impl Iterator<Item = (f64, u64, u64)> {
    let equal = rows.chunk_by(|a, b| a.0 == b.0); // 0 and −0 are equal
    equal.scan((0, 0), |(negative, positive), rows| {
        let of_class_1 = rows.iter().filter(|row| row.1).count();
        *positive += of_class_1 as u64;
        *negative += (rows.len() - of_class_1) as u64;
        Some((rows[0].0, *negative, *positive))
    })
}
