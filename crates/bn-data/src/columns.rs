//! The mean and variance of each pixel over the images of a training set.

use ndarray::ArrayView2;

use crate::{Error, Result};

/// What a training set says of each of its columns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ColumnMoments {
    pub(crate) mean: Vec<f64>, // (D)
    pub(crate) var: Vec<f64>,  // (D), biased: divided by N
}

impl ColumnMoments {
    /// In two passes and `f64`. A column that is constant has a variance of exactly 0: the sum of
    /// N equal `f32` is exact in `f64` up to N = 2^29, hence so is their mean.
    pub(crate) fn of(op: &'static str, images: ArrayView2<'_, f32>) -> Result<Self> {
        let (n, d) = images.dim();
        if n == 0 {
            return Err(Error::Empty { op });
        }
        check_finite(images)?;

        let mut mean = vec![0.0; d];
        for image in images.outer_iter() {
            for (sum, &x) in mean.iter_mut().zip(image) {
                *sum += f64::from(x);
            }
        }
        mean.iter_mut().for_each(|sum| *sum /= n as f64);

        let mut var = vec![0.0; d];
        for image in images.outer_iter() {
            for ((sum, &x), mean) in var.iter_mut().zip(image).zip(&mean) {
                *sum += (f64::from(x) - mean).powi(2);
            }
        }
        var.iter_mut().for_each(|sum| *sum /= n as f64);
        Ok(ColumnMoments { mean, var })
    }

    /// Refuses images of another width than the training set's, or with values that are not finite.
    pub(crate) fn check(&self, op: &'static str, images: ArrayView2<'_, f32>) -> Result<()> {
        if images.ncols() != self.mean.len() {
            return Err(Error::ShapeMismatch {
                op,
                expected: format!("(N, {}), as it was fitted on", self.mean.len()),
                got: images.shape().to_vec(),
            });
        }
        check_finite(images)
    }
}

fn check_finite(images: ArrayView2<'_, f32>) -> Result<()> {
    let d = images.ncols();
    match images.iter().position(|x| !x.is_finite()) {
        Some(at) => Err(Error::NotFinite {
            row: at / d,
            column: at % d,
        }),
        None => Ok(()),
    }
}
