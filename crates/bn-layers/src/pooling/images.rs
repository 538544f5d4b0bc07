//! Pixels of images and of windows, which pools and Upsample2d share.

use crate::error::Error;
use bn_tensor::{Padding, Window, check_setting};
use serde::{Deserialize, Serialize};

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
