use super::definition::Metric;
use crate::{
    error::Error,
    targets::{check_values, misfit},
};
use bn_data::Targets;
use bn_tensor::{Scalar, try_zeros};
use ndarray::{Array1, ArrayView2};

/// The coefficient of determination R², the share of the targets' variance that the outputs explain:
/// scikit-learn's `r2_score`, Keras' `R2Score`.
///
/// ```text
/// R² = 1 − Σ (t − y)²/Σ (t − mean(t))²        y, t: (N, E); the mean over the E outputs
/// ```
///
/// An output that is always the mean of its targets has 0, and one that is worse less. As in scikit-learn, an
/// output whose targets are all equal has 1 if it is exact and else 0, and fewer than two rows have NaN.
///
/// ```
/// use bn_net::{Metric, R2Score};
/// use ndarray::array;
/// let (y, t) = (array![[1.0], [2.0], [3.5]], array![[1.0], [2.0], [3.0]]);
/// assert_eq!(R2Score::new().evaluate(y.view(), t.view().into())?, 1.0 - 0.25 / 2.0);
/// # Ok::<(), bn_net::Error>(())
/// ```
///
/// # Errors
/// [`Error::Targets`] for labels, for values of another shape, or for another number of outputs than in the rows
/// before.
#[derive(Debug, Clone, Default)]
pub struct R2Score {
    rows: u64,
    mean: Array1<f64>,     // (E): of the targets so far
    total: Array1<f64>,    // (E): Σ (t − mean(t))²
    residual: Array1<f64>, // (E): Σ (t − y)²
}

impl R2Score {
    /// Creates the metric, without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for this number of outputs.
    fn prepare(&mut self, width: usize) -> Result<(), Error> {
        if self.mean.len() == width {
            return Ok(());
        }
        if self.rows > 0 {
            let expected = format!("{} outputs, as in the rows before", self.mean.len());
            return Err(misfit("R2Score", expected, width.to_string()));
        }
        let zeros = || try_zeros("R2Score", width);
        (self.mean, self.total, self.residual) = (zeros()?, zeros()?, zeros()?);
        Ok(())
    }
}

impl<T: Scalar> Metric<T> for R2Score {
    fn name(&self) -> String {
        "R2".to_owned()
    }

    fn check(&self, rows: usize, width: usize, t: Targets<'_, T>) -> Result<(), Error> {
        check_values("R2Score", (rows, width), t).map(|_| ())
    }

    fn reset(&mut self) {
        *self = Self::new();
    }

    fn update(&mut self, y: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<(), Error> {
        let t = check_values("R2Score", y.dim(), t)?;
        self.prepare(y.ncols())?;
        for (y, t) in y.rows().into_iter().zip(t.rows()) {
            self.rows += 1;
            for (k, (y, t)) in y.iter().zip(t).enumerate() {
                let (y, t) = (y.as_f64(), t.as_f64());
                // Welford's update: stable for a large mean.
                let deviation = t - self.mean[k];
                self.mean[k] += deviation / self.rows as f64;
                self.total[k] += deviation * (t - self.mean[k]);
                self.residual[k] += (t - y).powi(2);
            }
        }
        Ok(())
    }

    fn value(&self) -> f64 {
        if self.rows < 2 {
            return f64::NAN;
        }
        let outputs = self.residual.iter().zip(&self.total);
        let scores = outputs.map(|(&residual, &total)| match (residual, total) {
            (0.0, _) => 1.0,
            (residual, 0.0) if !residual.is_nan() => 0.0,
            _ => 1.0 - residual / total,
        });
        scores.sum::<f64>() / self.mean.len() as f64
    }
}
