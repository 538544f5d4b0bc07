//! Pixels of images and of windows, which pools and Upsample2d share.

use super::config::Pool2dConfig;
use crate::error::Error;
use bn_tensor::{Padding, Window, WindowConfig, check_setting};
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
    let (down, right) = window.dilation();
    (0..lines.len()).flat_map(move |i| {
        let first = (top + i * down) * width + left;
        (0..across.len()).map(move |j| first + j * right)
    })
}

/// The values of a position or a pixel.
pub(super) fn at<T>(values: &[T], place: usize, channels: usize) -> &[T] {
    &values[place * channels..][..channels]
}

/// [`at`], mutable.
pub(super) fn at_mut<T>(values: &mut [T], place: usize, channels: usize) -> &mut [T] {
    &mut values[place * channels..][..channels]
}

/// The settings of the window of a pool, in its description.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WindowSettings {
    /// `(height, width, channels)` of the input.
    pub image: (usize, usize, usize),
    /// `(rows, columns)` under the window.
    pub kernel: (usize, usize),
    /// Down and across.
    pub stride: (usize, usize),
    /// Around the image.
    #[serde(with = "crate::padding")]
    pub padding: Padding,
    /// Down and across; at 1 the pixels under the window are adjacent.
    #[serde(default = "crate::padding::no_dilation")]
    pub dilation: (usize, usize),
    /// Whether the last window may extend beyond the padding.
    #[serde(default)]
    pub ceil_mode: bool,
}

impl WindowSettings {
    pub(super) fn new(image: (usize, usize, usize), config: &Pool2dConfig) -> Self {
        Self {
            image,
            kernel: config.kernel,
            stride: config.stride,
            padding: config.padding,
            dilation: config.dilation,
            ceil_mode: config.ceil_mode,
        }
    }

    /// The window, which knows the padding of [`Padding::Same`] and the size of the output. At each position there must be
    /// a pixel of the image under it.
    ///
    /// # Errors
    /// [`bn_tensor::Error::Window`], [`bn_tensor::Error::InvalidSetting`] if it does not fit.
    pub fn window(&self) -> Result<Window, Error> {
        let Self {
            image,
            kernel,
            stride,
            padding,
            dilation,
            ceil_mode,
        } = *self;
        let config = WindowConfig {
            dilation,
            ceil_mode,
            ..WindowConfig::new(kernel, stride, padding)
        };
        let window = Window::with_config(image, config)?;
        if let Padding::Explicit {
            top,
            bottom,
            left,
            right,
        } = padding
        {
            let reach = window.reach();
            for (most, reach) in [(top.max(bottom), reach.0), (left.max(right), reach.1)] {
                let range = "less than its kernel";
                check_setting("a pool's padding", range, most as f64, most < reach)?;
            }
        }
        // Else a window in the padding could step over the image.
        let (down, right) = window.dilation();
        for (dilation, size) in [(down, image.0), (right, image.1)] {
            let range = "at most the size of the image";
            check_setting(
                "a pool's dilation",
                range,
                dilation as f64,
                dilation <= size,
            )?;
        }
        Ok(window)
    }
}
