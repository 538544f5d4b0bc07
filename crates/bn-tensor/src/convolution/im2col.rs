//! Patches as a matrix, and back: the transformations called im2col and col2im.

use crate::{scalar::Scalar, simd::NullaryFnOnce, window::Window};
use std::ops::Range;

/// Writes the patches of one row of positions of an image.
pub(super) struct Im2Col<'a, T> {
    pub(super) window: &'a Window,
    pub(super) image: &'a [T], // (H, W, C)
    pub(super) row: usize,
    pub(super) patches: &'a mut [T], // (columns, patch)
}

impl<T: Scalar> NullaryFnOnce for Im2Col<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            window,
            image,
            row,
            patches,
        } = self;
        let ((_, width, channels), (_, kernel)) = (window.image(), window.kernel());
        let (lines, y) = window.clip_rows(row);
        for (column, patch) in patches.chunks_exact_mut(window.patch()).enumerate() {
            let (across, x) = window.clip_columns(column);
            let len = across.len() * channels;
            if len < kernel * channels || lines.len() < window.kernel().0 {
                patch.fill(T::zero()); // the part outside the image
            }
            for (y, line) in (y..).zip(lines.clone()) {
                let from = &image[(y * width + x) * channels..][..len];
                let to = &mut patch[(line * kernel + across.start) * channels..][..len];
                for (to, from) in to.iter_mut().zip(from) {
                    *to = *from;
                }
            }
        }
    }
}

/// Adds the values in the patches of some rows of positions to one row of pixels.
pub(super) struct Col2Im<'a, T> {
    pub(super) window: &'a Window,
    pub(super) patches: &'a [T], // of the image: (places, patch)
    pub(super) places: Range<usize>,
    pub(super) y: usize,
    pub(super) pixels: &'a mut [T], // (W, C)
}

impl<T: Scalar> NullaryFnOnce for Col2Im<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            window,
            patches,
            places,
            y,
            pixels,
        } = self;
        let (channels, (lines, kernel)) = (window.image().2, window.kernel());
        let columns = window.output().1;
        for line in 0..lines {
            let Some(row) = window.place_row(y, line).filter(|row| places.contains(row)) else {
                continue;
            };
            let patches = &patches[(row - places.start) * columns * window.patch()..];
            for (column, patch) in patches
                .chunks_exact(window.patch())
                .take(columns)
                .enumerate()
            {
                let (across, x) = window.clip_columns(column);
                let from =
                    &patch[(line * kernel + across.start) * channels..][..across.len() * channels];
                for (pixel, from) in pixels[x * channels..].iter_mut().zip(from) {
                    *pixel += *from;
                }
            }
        }
    }
}
