//! Whether targets fit the outputs of a network, and the classes that outputs stand for: what losses and metrics
//! share.

use crate::error::Error;
use bn_data::Targets;
use bn_tensor::{Scalar, check_setting};
use ndarray::{ArrayView1, ArrayView2};

/// The error of targets, or outputs, that do not fit.
pub(crate) fn misfit(
    what: &'static str,
    expected: impl Into<String>,
    got: impl Into<String>,
) -> Error {
    Error::Targets {
        loss: what,
        expected: expected.into(),
        got: got.into(),
    }
}

/// Returns `Ok` if each label is below `classes` or the one that is ignored.
pub(crate) fn check_labels(
    labels: &[usize],
    classes: usize,
    ignored: Option<usize>,
) -> Result<(), Error> {
    let is_out_of_range =
        |&(_, &label): &(usize, &usize)| label >= classes && Some(label) != ignored;
    match labels.iter().enumerate().find(is_out_of_range) {
        Some((row, &label)) => Err(Error::LabelOutOfRange {
            row,
            label,
            classes,
        }),
        None => Ok(()),
    }
}

/// Returns `Ok` if `t` has a class, or a value for each class, for each of the outputs `dim: (N, C)`.
pub(crate) fn check_classes<T: Scalar>(
    what: &'static str,
    dim: (usize, usize),
    ignored: Option<usize>,
    t: Targets<'_, T>,
) -> Result<(), Error> {
    match t {
        Targets::Labels(labels) if labels.len() == dim.0 => check_labels(labels, dim.1, ignored),
        Targets::Dense(values) if values.dim() == dim => Ok(()),
        _ => {
            let expected = format!(
                "{} labels, or values of shape [{}, {}]",
                dim.0, dim.0, dim.1
            );
            Err(misfit(what, expected, t.describe()))
        }
    }
}

/// Returns `Ok` if `t` has a value from 0 to 1 for each of the outputs `dim: (N, E)`, or, for one output, labels
/// 0 and 1 or the ignored one.
pub(crate) fn check_binary<T: Scalar>(
    what: &'static str,
    dim: (usize, usize),
    ignored: Option<usize>,
    t: Targets<'_, T>,
) -> Result<(), Error> {
    match t {
        Targets::Labels(labels) if labels.len() == dim.0 && dim.1 == 1 => {
            check_labels(labels, 2, ignored)
        }
        Targets::Dense(values) if values.dim() == dim => values.iter().try_for_each(|t| {
            let t = t.as_f64();
            let passes = (0.0..=1.0).contains(&t);
            Ok(check_setting("a target", "between 0 and 1", t, passes)?)
        }),
        _ => {
            let [n, e] = [dim.0, dim.1];
            let expected = format!("values of shape [{n}, {e}], or labels of one output");
            Err(misfit(what, expected, t.describe()))
        }
    }
}

/// The values of `t`, if there is one for each of the outputs `dim: (N, E)`.
pub(crate) fn check_values<'a, T>(
    what: &'static str,
    dim: (usize, usize),
    t: Targets<'a, T>,
) -> Result<ArrayView2<'a, T>, Error> {
    match t {
        Targets::Dense(values) if values.dim() == dim => Ok(values),
        _ => {
            let expected = format!("values of shape [{}, {}]", dim.0, dim.1);
            Err(misfit(what, expected, t.describe()))
        }
    }
}

/// As [`check_classes`]; and that the values of `t` have a largest one in each row.
pub(crate) fn check_one_class<T: Scalar>(
    what: &'static str,
    dim: (usize, usize),
    ignored: Option<usize>,
    t: Targets<'_, T>,
) -> Result<(), Error> {
    check_classes(what, dim, ignored, t)?;
    if let Targets::Dense(values) = t
        && values.iter().any(|t| t.is_nan())
    {
        check_setting("a target", "a number", f64::NAN, false)?;
    }
    Ok(())
}

/// The class of row `n`: its label, unless that is ignored, or the largest of its values.
pub(crate) fn target_class<T: Scalar>(
    t: Targets<'_, T>,
    n: usize,
    ignored: Option<usize>,
) -> Option<usize> {
    match t {
        Targets::Labels(labels) => (Some(labels[n]) != ignored).then_some(labels[n]),
        Targets::Dense(values) => arg_max(values.row(n)),
    }
}

/// The target of output `k` in row `n`: a value, or the label of one output.
pub(crate) fn target_value<T: Scalar>(t: Targets<'_, T>, n: usize, k: usize) -> f64 {
    match t {
        Targets::Labels(labels) => labels[n] as f64,
        Targets::Dense(values) => values[[n, k]].as_f64(),
    }
}

/// The index of the largest value; `None` for a row with a NaN.
pub(crate) fn arg_max<T: Scalar>(row: ArrayView1<'_, T>) -> Option<usize> {
    if row.iter().any(|v| v.is_nan()) {
        return None;
    }
    let mut values = row.iter().enumerate();
    let first = values.next()?;
    let largest = values.fold(first, |best, v| if v.1 > best.1 { v } else { best });
    Some(largest.0)
}

/// Whether a value is above the threshold, compared in its own type. `None` for a NaN.
pub(crate) fn is_above<T: Scalar>(value: T, threshold: f64) -> Option<bool> {
    (!value.is_nan()).then_some(value > T::from_f64(threshold))
}

/// The class that an output row stands for: of one output, 1 if it is above the threshold and else 0; of
/// several, the largest. `None` for a row with a NaN.
pub(crate) fn class_of<T: Scalar>(y: ArrayView1<'_, T>, threshold: f64) -> Option<usize> {
    match y.len() {
        1 => is_above(y[0], threshold).map(usize::from),
        _ => arg_max(y),
    }
}
