//! Loops over images, which pools and Upsample2d share.

use crate::error::Error;
use bn_tensor::{Padding, Scalar, Window, check_setting, fill_pieces, in_order, in_order_mut};
use ndarray::{ArrayView2, ArrayViewMut2};
use serde::{Deserialize, Serialize};
use std::array::from_fn;

/// Calls `f` for each image, with its values in each of the arrays `from` and in `to`. The number beside
/// an array is that of the values of an image.
pub(super) fn for_each_image<T: Scalar, const K: usize>(
    op: &'static str,
    from: [(&ArrayView2<'_, T>, usize); K],
    (to, len): (&mut ArrayViewMut2<'_, T>, usize),
    f: impl Fn([&[T]; K], &mut [T]) + Sync,
) -> Result<(), Error> {
    let n = to.nrows();
    let dims = from.iter().map(|(x, len)| (x.dim(), (n, *len)));
    for (got, expected) in dims.chain([(to.dim(), (n, len))]) {
        if got != expected {
            let (expected, got) = ([expected.0, expected.1], [got.0, got.1]);
            return Err(Error::shape(op, &expected, &got));
        }
    }
    let mut values = [&[][..]; K];
    for (values, (x, _)) in values.iter_mut().zip(&from) {
        *values = in_order(op, x)?;
    }
    fill_pieces(in_order_mut(op, to)?, len, |i, to| {
        f(from_fn(|k| &values[k][i * from[k].1..][..from[k].1]), to);
    });
    Ok(())
}

/// The number of values of an image and of an output.
pub(super) fn lengths(window: &Window) -> (usize, usize) {
    let ((height, width, channels), (rows, columns)) = (window.image(), window.output());
    (height * width * channels, rows * columns * channels)
}

/// The pixels of the image under the window at a position.
pub(super) fn pixels_under(window: &Window, place: usize) -> impl Iterator<Item = usize> {
    let (columns, width) = (window.output().1, window.image().1);
    let (lines, top) = window.clip_rows(place / columns);
    let (across, left) = window.clip_columns(place % columns);
    let rows = top..top + lines.len();
    rows.flat_map(move |row| row * width + left..row * width + left + across.len())
}

/// The values of a position or a pixel.
pub(super) fn at<T>(values: &[T], place: usize, channels: usize) -> &[T] {
    &values[place * channels..][..channels]
}

/// [`at`], mutable.
pub(super) fn at_mut<T>(values: &mut [T], place: usize, channels: usize) -> &mut [T] {
    &mut values[place * channels..][..channels]
}

/// The window of a pool. At each position there must be a pixel of the image under it.
pub(super) fn pool_window(settings: &WindowSettings) -> Result<Window, Error> {
    let WindowSettings {
        image,
        kernel,
        stride,
        padding,
    } = *settings;
    let window = Window::new(image, kernel, stride, padding)?;
    if let Padding::Explicit {
        top,
        bottom,
        left,
        right,
    } = padding
    {
        for (most, kernel) in [(top.max(bottom), kernel.0), (left.max(right), kernel.1)] {
            let range = "less than its kernel";
            check_setting("a pool's padding", range, most as f64, most < kernel)?;
        }
    }
    Ok(window)
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct WindowSettings {
    pub(super) image: (usize, usize, usize),
    pub(super) kernel: (usize, usize),
    pub(super) stride: (usize, usize),
    #[serde(with = "crate::padding")]
    pub(super) padding: Padding,
}
