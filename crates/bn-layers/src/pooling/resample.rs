//! Images whose pixels are those of another image, or means of its neighbouring pixels: what Resize2d
//! and the padding layers compute. Rows and columns are treated in the same way, one after the other.

use super::images::{at, at_mut};
use crate::{error::Error, rows::for_each_row};
use bn_tensor::Scalar;
use ndarray::{ArrayView2, ArrayViewMut2};

/// What a row (or a column) of the output consists of: `(1 − share)·x[first] + share·x[second]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Source {
    pub(super) first: usize,
    pub(super) second: usize,
    pub(super) share: f64,
}

impl Source {
    /// One row of the image.
    pub(super) fn one(row: usize) -> Self {
        Self {
            first: row,
            second: row,
            share: 0.0,
        }
    }

    /// The rows and their weights. A weight of 0 is left out, because `0·NaN` is not 0.
    fn weights(self) -> impl Iterator<Item = (usize, f64)> {
        let both = [(self.first, 1.0 - self.share), (self.second, self.share)];
        both.into_iter().filter(|&(_, weight)| weight != 0.0)
    }
}

/// A map from images to images, along rows and along columns.
pub(super) trait Resample: Sync {
    /// `(height, width, channels)` of an image.
    fn image(&self) -> (usize, usize, usize);

    /// `(height, width)` of an output.
    fn output(&self) -> (usize, usize);

    /// What a row of the output consists of; zeros if `None`.
    fn row(&self, row: usize) -> Option<Source>;

    /// What a column of the output consists of; zeros if `None`.
    fn column(&self, column: usize) -> Option<Source>;

    /// The number of values of an image and of an output.
    fn lengths(&self) -> (usize, usize) {
        let ((height, width, channels), (rows, columns)) = (self.image(), self.output());
        (height * width * channels, rows * columns * channels)
    }

    /// Calls `f(pixel of y, pixel of x, weight)` for each pair of pixels with a weight.
    #[inline]
    fn for_each_pair(&self, mut f: impl FnMut(usize, usize, f64)) {
        let ((_, width, _), (rows, columns)) = (self.image(), self.output());
        for i in 0..rows {
            let Some(row) = self.row(i) else { continue };
            for j in 0..columns {
                let Some(column) = self.column(j) else {
                    continue;
                };
                for (y, in_rows) in row.weights() {
                    for (x, in_columns) in column.weights() {
                        f(i * columns + j, y * width + x, in_rows * in_columns);
                    }
                }
            }
        }
    }

    /// Writes the outputs `y: (N, outputs)` for `x: (N, images)`.
    fn values<T: Scalar>(
        &self,
        op: &'static str,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        let ((image, out), channels) = (self.lengths(), self.image().2);
        for_each_row(op, [(&x, image)], (&mut y, out), |[x], y| {
            y.fill(T::zero());
            self.for_each_pair(|to, from, weight| {
                let (y, x) = (at_mut(y, to, channels), at(x, from, channels));
                if weight == 1.0 {
                    y.copy_from_slice(x); // there is no other, and −0 stays −0
                } else {
                    add(y, x, weight);
                }
            });
        })
    }

    /// Writes the gradient `dx: (N, images)` for `dout: (N, outputs)`.
    fn gradient<T: Scalar>(
        &self,
        op: &'static str,
        dout: ArrayView2<'_, T>,
        mut dx: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        let ((image, out), channels) = (self.lengths(), self.image().2);
        for_each_row(op, [(&dout, out)], (&mut dx, image), |[dout], dx| {
            dx.fill(T::zero());
            self.for_each_pair(|from, to, weight| {
                add(at_mut(dx, to, channels), at(dout, from, channels), weight);
            });
        })
    }
}

/// `to += weight·from`.
#[inline]
fn add<T: Scalar>(to: &mut [T], from: &[T], weight: f64) {
    let weight = T::from_f64(weight);
    for (to, &from) in to.iter_mut().zip(from) {
        *to += weight * from;
    }
}
