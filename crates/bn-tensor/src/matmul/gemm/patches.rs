//! Patches of images as the left-hand side of a product, packed from the images themselves.

use super::pack::transpose;
use crate::{scalar::Scalar, window::Window};
use std::ops::Range;

/// Some positions of a window over images `x: (n, H·W·C)`, and some of the values in each patch.
///
/// A product packs them directly from the images. Writing the patches to memory first took a fifth of
/// the time of a convolution of 64 channels to 128.
#[derive(Clone)]
pub(crate) struct Patches<'a, T> {
    pub(crate) window: &'a Window,
    pub(crate) x: &'a [T],
    pub(crate) places: Range<usize>, // positions in all images
    pub(crate) parts: Range<usize>,  // values of a patch
}

/// Values of a patch that are copied at a time; all of them belong to one pixel.
const RUN: usize = 64;

impl<T: Scalar> Patches<'_, T> {
    /// Whether the values of a pixel fill whole units of packing, which this code needs.
    pub(crate) fn can_pack(window: &Window) -> bool {
        window.image().2.is_multiple_of(4)
    }

    /// The positions before and after position `at`.
    pub(super) fn split_places(self, at: usize) -> (Self, Self) {
        let (places, later) = cut(&self.places, at);
        let before = Self {
            places,
            ..self.clone()
        };
        (
            before,
            Self {
                places: later,
                ..self
            },
        )
    }

    /// The values of each patch before and after value `at`.
    pub(super) fn split_parts(self, at: usize) -> (Self, Self) {
        let (parts, later) = cut(&self.parts, at);
        let before = Self {
            parts,
            ..self.clone()
        };
        (
            before,
            Self {
                parts: later,
                ..self
            },
        )
    }

    /// Panels whose rows are positions.
    #[inline(always)]
    pub(super) fn pack<const WIDTH: usize>(
        &self,
        is: Range<usize>,
        ks: Range<usize>,
        packed: &mut [T],
    ) {
        let zeros = [T::zero(); RUN];
        let depth = ks.len();
        let first = self.places.start + is.start;
        for (i, panel) in packed.chunks_exact_mut(WIDTH * depth).enumerate() {
            let place = first + i * WIDTH;
            let count = WIDTH.min(self.places.start + is.end - place);
            if count < WIDTH {
                panel.fill(T::zero());
            }
            let mut origins = [Origin::default(); WIDTH];
            for (origin, place) in origins.iter_mut().zip(place..place + count) {
                *origin = Origin::new(self.window, place);
            }
            let parts = self.parts.start + ks.start..self.parts.start + ks.end;
            let mut panel = panel;
            for (down, right, values) in runs(self.window, parts) {
                let mut lines = [&[][..]; WIDTH];
                for (line_of_place, origin) in lines.iter_mut().zip(&origins[..count]) {
                    *line_of_place = match origin.pixel(self.window, down, right) {
                        Some(at) => &self.x[at + values.start..at + values.end],
                        None => &zeros[..values.len()],
                    };
                }
                let (block, rest) = panel.split_at_mut(values.len() * WIDTH);
                transpose::<T, WIDTH>(lines, block);
                panel = rest;
            }
        }
    }

    /// Panels whose rows are values of a patch.
    #[inline(always)]
    pub(super) fn pack_transposed<const WIDTH: usize>(
        &self,
        is: Range<usize>,
        ks: Range<usize>,
        packed: &mut [T],
    ) {
        match const { WIDTH % 4 } {
            0 => self.pack_units::<WIDTH, 4>(is, ks, packed),
            _ => self.pack_units::<WIDTH, 2>(is, ks, packed),
        }
    }

    #[inline(always)]
    fn pack_units<const WIDTH: usize, const UNIT: usize>(
        &self,
        is: Range<usize>,
        ks: Range<usize>,
        packed: &mut [T],
    ) {
        let depth = ks.len();
        if !is.len().is_multiple_of(WIDTH) {
            let last = packed.len() - WIDTH * depth;
            packed[last..].fill(T::zero());
        }
        let parts = self.parts.start + is.start..self.parts.start + is.end;
        for (k, place) in (self.places.start + ks.start..).take(depth).enumerate() {
            let origin = Origin::new(self.window, place);
            // The position of the next unit, and the end of its row in the panel.
            let (mut at, mut end) = (k * WIDTH, (k + 1) * WIDTH);
            for (down, right, values) in runs(self.window, parts.clone()) {
                let pixel = origin.pixel(self.window, down, right);
                let from = pixel.map(|p| &self.x[p + values.start..p + values.end]);
                for unit in 0..values.len() / UNIT {
                    let values = match from {
                        Some(from) => from[unit * UNIT..].first_chunk::<UNIT>(),
                        None => None,
                    };
                    packed[at..at + UNIT].copy_from_slice(values.unwrap_or(&[T::zero(); UNIT]));
                    at += UNIT;
                    if at == end {
                        at += WIDTH * (depth - 1);
                        end = at + WIDTH;
                    }
                }
            }
        }
    }
}

/// A position of the window: the image's first value, and row and column in the padded image.
#[derive(Clone, Copy, Default)]
struct Origin {
    image: usize,
    row: usize,
    column: usize,
}

impl Origin {
    #[inline(always)]
    fn new(window: &Window, place: usize) -> Self {
        let (columns, places) = (window.output().1, window.places());
        let (image, place) = (place / places, place % places);
        let (rows_by, columns_by) = window.stride();
        Self {
            image: image * window.image_len(),
            row: place / columns * rows_by,
            column: place % columns * columns_by,
        }
    }

    /// The first value of the pixel so many rows below and columns to the right, if it is in the image.
    #[inline(always)]
    fn pixel(&self, window: &Window, down: usize, right: usize) -> Option<usize> {
        let ((height, width, channels), (top, left)) = (window.image(), window.before());
        // Above and to the left of the image the difference wraps, to more than any image's size.
        let row = (self.row + down).wrapping_sub(top);
        let column = (self.column + right).wrapping_sub(left);
        (row < height && column < width).then(|| self.image + (row * width + column) * channels)
    }
}

/// The values `parts` of a patch in runs, each within one pixel: rows and columns from the first pixel
/// under the window to this one, and channels.
#[inline(always)]
fn runs(
    window: &Window,
    parts: Range<usize>,
) -> impl Iterator<Item = (usize, usize, Range<usize>)> {
    let (channels, columns) = (window.image().2, window.kernel().1);
    let (down, right) = window.dilation();
    let mut part = parts.start;
    std::iter::from_fn(move || {
        if part >= parts.end {
            return None;
        }
        let (pixel, channel) = (part / channels, part % channels);
        let len = (channels - channel).min(parts.end - part).min(RUN);
        part += len;
        let (rows, columns) = (pixel / columns * down, pixel % columns * right);
        Some((rows, columns, channel..channel + len))
    })
}

fn cut(range: &Range<usize>, at: usize) -> (Range<usize>, Range<usize>) {
    let middle = range.start + at;
    (range.start..middle, middle..range.end)
}
