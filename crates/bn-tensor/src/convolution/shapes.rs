//! Shapes of the arrays of a convolution.

use crate::{error::Error, window::Window};
use ndarray::{ArrayView2, ArrayViewMut2};

/// The number of output channels, if `images: (n, H·W·C)`, `w: (patch, out)` and
/// `y: (n, places·out)` agree.
pub(super) fn check(
    op: &'static str,
    window: &Window,
    images: (usize, usize),
    w: (usize, usize),
    y: (usize, usize),
) -> Result<usize, Error> {
    let (n, out) = (images.0, w.1);
    for (expected, got) in [
        ((n, window.image_len()), images),
        ((window.patch(), out), w),
        ((n, window.places().saturating_mul(out)), y),
    ] {
        if expected != got {
            return Err(Error::shape(op, &[expected.0, expected.1], &[got.0, got.1]));
        }
    }
    Ok(out)
}

/// The values as a matrix `(rows, columns)`.
pub(super) fn matrix<'a, T>(
    op: &'static str,
    values: &'a [T],
    rows: usize,
    columns: usize,
) -> Result<ArrayView2<'a, T>, Error> {
    ArrayView2::from_shape((rows, columns), values).map_err(|_| bug(op))
}

/// [`matrix`], mutable.
pub(super) fn matrix_mut<'a, T>(
    op: &'static str,
    values: &'a mut [T],
    rows: usize,
    columns: usize,
) -> Result<ArrayViewMut2<'a, T>, Error> {
    ArrayViewMut2::from_shape((rows, columns), values).map_err(|_| bug(op))
}

/// The error of a case that cannot occur, because blocks are cut from shapes that were checked.
fn bug(op: &'static str) -> Error {
    Error::NotContiguous { op }
}
