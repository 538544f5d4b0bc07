use serde_json::{Value, json};

/// Statistics of the values of an array.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Statistics {
    /// Of the finite values, as are mean and deviation; NaN if there are none.
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) mean: f64,
    pub(super) std: f64,
    /// The share of zeros among all values.
    pub(super) zeros: f64,
    /// The number of values that are not finite.
    pub(super) non_finite: u64,
}

impl Statistics {
    /// In one pass, by Welford's update.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let (mut n, mut zeros, mut non_finite) = (0u64, 0u64, 0u64);
        let (mut min, mut max, mut mean, mut squares) = (f64::NAN, f64::NAN, 0.0, 0.0);
        for x in values {
            if !x.is_finite() {
                non_finite += 1;
                continue;
            }
            n += 1;
            zeros += u64::from(x == 0.0);
            (min, max) = (x.min(min), x.max(max)); // a NaN loses
            let from_old = x - mean;
            mean += from_old / n as f64;
            squares += from_old * (x - mean);
        }
        let all = n + non_finite;
        let of_finite = |value: f64| if n == 0 { f64::NAN } else { value };
        Self {
            min,
            max,
            mean: of_finite(mean),
            std: of_finite((squares / n.max(1) as f64).sqrt()),
            zeros: zeros as f64 / all.max(1) as f64,
            non_finite,
        }
    }

    /// Null for what is not a number.
    pub(super) fn to_json(self) -> Value {
        json!({
            "min": self.min,
            "max": self.max,
            "mean": self.mean,
            "std": self.std,
            "zeros": self.zeros,
            "non_finite": self.non_finite,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_leave_out_what_is_not_finite() {
        let s = Statistics::of([1.0, f64::NAN, 3.0, 0.0, f64::INFINITY].into_iter());
        assert_eq!((s.min, s.max, s.non_finite, s.zeros), (0.0, 3.0, 2, 0.2));
        assert!((s.mean - 4.0 / 3.0).abs() < 1e-15);
        assert!((s.std - (14.0f64 / 9.0).sqrt()).abs() < 1e-15);
        let none = Statistics::of(std::iter::once(f64::NAN));
        assert!(none.mean.is_nan() && none.min.is_nan() && none.to_json()["mean"].is_null());
    }
}
