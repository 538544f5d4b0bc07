//! Patches as a matrix, and back: the transformations called im2col and col2im.

use crate::{scalar::Scalar, simd::NullaryFnOnce, window::Window};
use std::ops::Range;

/// Writes the patches of one row of positions of an image. A patch has the values of one group of
/// channels after those of another.
pub(super) struct Im2Col<'a, T> {
    pub(super) window: &'a Window,
    pub(super) groups: usize,
    pub(super) image: &'a [T], // (H, W, C)
    pub(super) row: usize,
    pub(super) patches: &'a mut [T], // (columns, groups, patch of a group)
}

impl<T: Scalar> NullaryFnOnce for Im2Col<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            window,
            groups,
            image,
            row,
            patches,
        } = self;
        let ((_, width, all), (_, kernel)) = (window.image(), window.kernel());
        let (channels, of_group) = (all / groups, window.patch() / groups);
        let (down, step) = (window.dilation().0, step(window));
        let (lines, y) = window.clip_rows(row);
        for group in 0..groups {
            for (column, patch) in patches.chunks_exact_mut(window.patch()).enumerate() {
                let patch = &mut patch[group * of_group..][..of_group];
                let (across, x) = window.clip_columns(column);
                let len = across.len() * channels;
                if len < kernel * channels || lines.len() < window.kernel().0 {
                    patch.fill(T::zero()); // the part outside the image
                }
                for (i, line) in lines.clone().enumerate() {
                    // Beyond the image there is no pixel, and `to` is empty.
                    let from = image[((y + i * down) * width + x) * all..].get(group * channels..);
                    let from = from.unwrap_or_default();
                    let to = &mut patch[(line * kernel + across.start) * channels..][..len];
                    if step == channels {
                        copy(&from[..len], to);
                    } else {
                        let pixels = to.chunks_exact_mut(channels).zip(from.chunks(step));
                        pixels.for_each(|(to, from)| copy(from, to));
                    }
                }
            }
        }
    }
}

/// The distance in memory between two adjacent pixels under the window.
fn step(window: &Window) -> usize {
    window.dilation().1.saturating_mul(window.image().2)
}

#[inline(always)]
fn copy<T: Copy>(from: &[T], to: &mut [T]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// Adds the values in the patches of some rows of positions to one row of pixels.
pub(super) struct Col2Im<'a, T> {
    pub(super) window: &'a Window,
    pub(super) groups: usize,
    pub(super) patches: &'a [T], // of the image: (places, groups, patch of a group)
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
            groups,
            patches,
            places,
            y,
            pixels,
        } = self;
        let (all, (lines, kernel)) = (window.image().2, window.kernel());
        let (channels, of_group) = (all / groups, window.patch() / groups);
        let (columns, step) = (window.output().1, step(window));
        for line in 0..lines {
            let Some(row) = window.place_row(y, line).filter(|row| places.contains(row)) else {
                continue;
            };
            let patches = &patches[(row - places.start) * columns * window.patch()..];
            for group in 0..groups {
                for (column, patch) in patches
                    .chunks_exact(window.patch())
                    .take(columns)
                    .enumerate()
                {
                    let patch = &patch[group * of_group..][..of_group];
                    let (across, x) = window.clip_columns(column);
                    let from = &patch[(line * kernel + across.start) * channels..]
                        [..across.len() * channels];
                    // Beyond the image there is no pixel, and `from` is empty.
                    let to = pixels[x * all..].get_mut(group * channels..);
                    let to = to.unwrap_or_default();
                    if step == channels {
                        add(from, to);
                    } else {
                        let pixels = to.chunks_mut(step).zip(from.chunks_exact(channels));
                        pixels.for_each(|(to, from)| add(from, to));
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn add<T: Scalar>(from: &[T], to: &mut [T]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += *from;
    }
}
