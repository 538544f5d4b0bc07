use crate::{
    error::Error,
    targets::{check_binary, check_one_class, class_of, misfit, target_class, target_value},
};
use bn_data::Targets;
use bn_tensor::{Scalar, check_setting};
use ndarray::ArrayView1;

/// Which class the outputs and the targets of a row stand for. One output stands for the classes 0 and 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ClassRule {
    pub(super) threshold: Option<f64>, // above which an output is positive
    pub(super) ignored_label: Option<usize>,
}

impl ClassRule {
    /// The same with this threshold.
    pub(super) fn with_threshold(self, threshold: f64) -> Result<Self, Error> {
        check_setting("the threshold", "a number", threshold, !threshold.is_nan())?;
        let threshold = Some(threshold);
        Ok(Self { threshold, ..self })
    }

    /// The number of classes of outputs of this width.
    pub(super) fn classes(width: usize) -> usize {
        if width == 1 { 2 } else { width }
    }

    /// Returns `Ok` if `t` has one class for each of the outputs `dim: (N, E)`.
    pub(super) fn check<T: Scalar>(
        &self,
        what: &'static str,
        dim: (usize, usize),
        t: Targets<'_, T>,
    ) -> Result<(), Error> {
        match (dim.1, self.threshold) {
            (1, None) => {
                let expected = "at least 2 outputs, or one and a threshold (`with_threshold`)";
                Err(misfit(what, expected, "1 output"))
            }
            (1, Some(_)) => check_binary(what, dim, self.ignored_label, t),
            _ => check_one_class(what, dim, self.ignored_label, t),
        }
    }

    /// The class of row `n`, unless it is ignored. `width` is that of the outputs.
    pub(super) fn target<T: Scalar>(
        &self,
        t: Targets<'_, T>,
        n: usize,
        width: usize,
    ) -> Option<usize> {
        match t {
            Targets::Dense(_) if width == 1 => Some(usize::from(target_value(t, n, 0) > 0.5)),
            _ => target_class(t, n, self.ignored_label),
        }
    }

    /// The class that the outputs of a row stand for. `None` for a row with a NaN.
    pub(super) fn predicted<T: Scalar>(&self, y: ArrayView1<'_, T>) -> Option<usize> {
        class_of(y, self.threshold.unwrap_or(0.0))
    }
}
