//! The mean and variance of each pixel over the images of a training set, and standardisation by them.

use bn_tensor::{Moments, Scalar, try_zeros};
use ndarray::{ArrayView2, ArrayViewMut2, Axis, Slice};

use crate::error::{Error, Result};

/// Rows that are converted to `f64` at a time: a few MB for images of MNIST's size.
const CHUNK: usize = 1024;

/// Count, mean and sum of squared deviations of each column of `images` `(N, D)`, in `f64`.
///
/// They are measured as differences from the first image, chunk by chunk, and merged. So a constant
/// column has a variance of exactly 0 and its exact mean: all its differences are 0.
pub(crate) fn column_moments<T: Scalar>(
    op: &'static str,
    images: ArrayView2<'_, T>,
) -> Result<Moments> {
    let (n, d) = images.dim();
    if n == 0 {
        return Err(Error::Empty { op });
    }
    check_finite(images)?;
    let first = images.row(0).mapv(T::as_f64); // (D)
    let mut differences = try_zeros(op, (n.min(CHUNK), d))?; // of one chunk
    let (mut moments, mut of_chunk) = (Moments::new(d)?, Moments::default());
    let bug = "the differences are contiguous and have D columns";
    for chunk in images.axis_chunks_iter(Axis(0), CHUNK) {
        let rows = Slice::from(..chunk.nrows());
        let mut differences = differences.slice_axis_mut(Axis(0), rows);
        for (mut to, from) in differences.outer_iter_mut().zip(chunk.outer_iter()) {
            for ((to, &x), &first) in to.iter_mut().zip(from).zip(&first) {
                *to = x.as_f64() - first;
            }
        }
        let differences = differences.view().insert_axis(Axis(2)); // (rows, D, 1)
        of_chunk.measure(differences).expect(bug);
        moments.merge(&of_chunk).expect(bug);
    }
    let mean = &moments.mean() + &first;
    let mean = mean.as_slice().expect(bug);
    let m2 = moments.m2().to_vec();
    Ok(Moments::from_parts(moments.count(), mean, &m2).expect(bug))
}

/// Returns an error if `images` has another width than the training set, or a value that is not
/// finite.
pub(crate) fn check_images<T: Scalar>(
    op: &'static str,
    width: usize,
    images: ArrayView2<'_, T>,
) -> Result<()> {
    if images.ncols() != width {
        return Err(Error::ShapeMismatch {
            op,
            expected: format!("(N, {width}), as it was fitted on"),
            got: images.shape().to_vec(),
        });
    }
    check_finite(images)
}

/// `x = (scale·x - mean) / std` in place, for `images` `(N, D)`. Means and deviations repeat along a row.
pub(crate) fn standardize<T: Scalar>(
    mut images: ArrayViewMut2<'_, T>,
    scale: f64,
    mean: &[f64],
    std: &[f64],
) {
    for mut image in images.outer_iter_mut() {
        let of_value = mean.iter().zip(std).cycle();
        for (x, (mean, std)) in image.iter_mut().zip(of_value) {
            *x = T::from_f64((scale * x.as_f64() - mean) / std);
        }
    }
}

pub(crate) fn check_finite<T: Scalar>(images: ArrayView2<'_, T>) -> Result<()> {
    let d = images.ncols();
    match images.iter().position(|x| !x.is_finite()) {
        Some(at) => Err(Error::NotFinite {
            row: at / d,
            column: at % d,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// Each number of rows in the last chunk, and values whose thirds are not exact.
    #[test]
    fn a_constant_column_has_no_variance() {
        for rows in [1, 2, 3, 5, 1024, 1027, 3000] {
            let constants = [0.1f32, 1e-30, -3e38, 16_777_215.0, 7.0];
            let images = Array2::from_shape_fn((rows, 5), |(_, j)| constants[j]);
            for width in [1, 5] {
                let images = images.slice_axis(Axis(1), Slice::from(..width));
                let moments = column_moments("test", images).unwrap();
                for (j, &constant) in constants.iter().enumerate().take(width) {
                    assert_eq!(moments.mean()[j], f64::from(constant), "{rows} rows");
                    assert_eq!(moments.m2()[j], 0.0, "{rows} rows");
                }
            }
        }
    }
}
