//! The left factor of a product: a matrix, or the patches of images, which need not be written down.

use super::pack::{pack, transpose};
use crate::{Scalar, Window};
use ndarray::{ArrayView2, Axis, Slice};
use std::ops::Range;

/// What stands at `a` in `c = a·b`.
#[derive(Clone)]
pub enum Factor<'a, T> {
    Matrix(ArrayView2<'a, T>), // (M, K)
    Patches(Patches<'a, T>),   // (places, parts)
    PatchesT(Patches<'a, T>),  // (parts, places)
}

/// Some places of a window over images `x: (n, H·W·C)`, and some of the values that it sees there.
///
/// The product packs them from the images themselves: writing the patches first took a fifth of the
/// time of a convolution of 64 channels to 128.
#[derive(Clone)]
pub struct Patches<'a, T> {
    pub(crate) window: &'a Window,
    pub(crate) x: &'a [T],
    pub(crate) places: Range<usize>, // of all images
    pub(crate) parts: Range<usize>,  // of a patch
}

impl<'a, T: Scalar> Factor<'a, T> {
    /// `(M, K)`.
    pub(crate) fn dim(&self) -> (usize, usize) {
        match self {
            Self::Matrix(a) => a.dim(),
            Self::Patches(p) => (p.places.len(), p.parts.len()),
            Self::PatchesT(p) => (p.parts.len(), p.places.len()),
        }
    }

    /// The rows before and after row `at`.
    pub(crate) fn split_at(self, at: usize) -> (Self, Self) {
        match self {
            Self::Matrix(a) => {
                let (a0, a1) = a.split_at(Axis(0), at);
                (Self::Matrix(a0), Self::Matrix(a1))
            }
            Self::Patches(p) => {
                let (places, later) = cut(&p.places, at);
                (
                    Self::Patches(Patches {
                        places,
                        ..p.clone()
                    }),
                    Self::Patches(Patches { places: later, ..p }),
                )
            }
            Self::PatchesT(p) => {
                let (parts, later) = cut(&p.parts, at);
                (
                    Self::PatchesT(Patches { parts, ..p.clone() }),
                    Self::PatchesT(Patches { parts: later, ..p }),
                )
            }
        }
    }

    /// Panels of `WIDTH` of the rows: `panel[k, i] = a[i, k]`, and 0 beyond the last row.
    #[inline(always)]
    pub(super) fn pack<const WIDTH: usize>(
        &self,
        is: Range<usize>,
        ks: Range<usize>,
        packed: &mut [T],
    ) {
        match self {
            Self::Matrix(a) => {
                let a = a.slice_axis(Axis(0), Slice::from(is));
                pack::<T, WIDTH>(a.slice_axis_move(Axis(1), Slice::from(ks)), packed);
            }
            Self::Patches(p) => p.pack::<WIDTH>(is, ks, packed),
            Self::PatchesT(p) => p.pack_transposed::<WIDTH>(is, ks, packed),
        }
    }
}

fn cut(range: &Range<usize>, at: usize) -> (Range<usize>, Range<usize>) {
    let middle = range.start + at;
    (range.start..middle, middle..range.end)
}

/// Values of a patch that are copied at a time: all of one pixel.
const RUN: usize = 64;

impl<T: Scalar> Patches<'_, T> {
    /// Whether the values of a pixel fill whole units of packing.
    pub(crate) fn can_pack(window: &Window) -> bool {
        window.image().2.is_multiple_of(4)
    }

    /// Panels whose rows are places.
    #[inline(always)]
    fn pack<const WIDTH: usize>(&self, is: Range<usize>, ks: Range<usize>, packed: &mut [T]) {
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
            for (line, column, values) in runs(self.window, parts) {
                let mut lines = [&[][..]; WIDTH];
                for (line_of_place, origin) in lines.iter_mut().zip(&origins[..count]) {
                    *line_of_place = match origin.pixel(self.window, line, column) {
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
    fn pack_transposed<const WIDTH: usize>(
        &self,
        is: Range<usize>,
        ks: Range<usize>,
        packed: &mut [T],
    ) {
        match WIDTH % 4 {
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
            // Where the next unit goes: in its panel, and the panel's end.
            let (mut at, mut end) = (k * WIDTH, (k + 1) * WIDTH);
            for (line, column, values) in runs(self.window, parts.clone()) {
                let pixel = origin.pixel(self.window, line, column);
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

/// Where a window stands: the image's first value, and the padded image's row and column.
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

    /// The first value of the pixel that is seen through this line and column of the window, if it is
    /// in the image.
    #[inline(always)]
    fn pixel(&self, window: &Window, line: usize, column: usize) -> Option<usize> {
        let ((height, width, channels), (top, left)) = (window.image(), window.before());
        // Above and to the left the difference wraps, and is larger than any image.
        let row = (self.row + line).wrapping_sub(top);
        let column = (self.column + column).wrapping_sub(left);
        (row < height && column < width).then(|| self.image + (row * width + column) * channels)
    }
}

/// The parts of a patch, pixel by pixel, in runs: line and column of the window, channels.
#[inline(always)]
fn runs(
    window: &Window,
    parts: Range<usize>,
) -> impl Iterator<Item = (usize, usize, Range<usize>)> {
    let (channels, columns) = (window.image().2, window.kernel().1);
    let mut part = parts.start;
    std::iter::from_fn(move || {
        if part >= parts.end {
            return None;
        }
        let (pixel, channel) = (part / channels, part % channels);
        let len = (channels - channel).min(parts.end - part).min(RUN);
        part += len;
        Some((pixel / columns, pixel % columns, channel..channel + len))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Padding, naive};
    use ndarray::{Array2, Array4};

    /// All patches of some images, written down by the naive convolution with one weight at a time.
    fn written(window: &Window, stride: usize, n: usize, x: &[f32]) -> Array2<f32> {
        let ((h, w, c), (rows, columns)) = (window.image(), window.kernel());
        let images = Array4::from_shape_vec((n, h, w, c), x.to_vec()).unwrap();
        let one =
            Array2::eye(window.patch()).into_shape_with_order((rows, columns, c, window.patch()));
        let y = naive::convolve(
            images.view(),
            one.unwrap().view(),
            (stride, stride),
            window.before(),
            window.output(),
        );
        y.into_shape_with_order((n * window.places(), window.patch()))
            .unwrap()
    }

    fn check<const WIDTH: usize>(window: &Window, stride: usize) {
        const N: usize = 3;
        let x: Vec<f32> = (1..=N * window.image_len()).map(|i| i as f32).collect();
        let all = written(window, stride, N, &x);
        let unwritten = Patches {
            window,
            x: &x,
            places: 0..all.nrows(),
            parts: 0..all.ncols(),
        };
        let same = |got: &Factor<'_, f32>, want: &Factor<'_, f32>| {
            let ((m, k), fits) = (want.dim(), |len: usize| len.next_multiple_of(WIDTH));
            assert_eq!(got.dim(), (m, k));
            for (is, ks) in [(0..m, 0..k), (4.min(m)..m, 1..k), (0..m.min(20), 0..k / 2)] {
                let len = fits(is.len()) * ks.len();
                let (mut a, mut b) = (vec![-1.0; len], vec![-2.0; len]);
                got.pack::<WIDTH>(is.clone(), ks.clone(), &mut a);
                want.pack::<WIDTH>(is.clone(), ks.clone(), &mut b);
                assert!(a == b, "{window:?} {is:?} {ks:?}");
            }
        };
        let (factor, matrix) = (
            Factor::Patches(unwritten.clone()),
            Factor::Matrix(all.view()),
        );
        same(&factor, &matrix);
        let ((_, later), (_, wanted)) = (factor.split_at(8), matrix.split_at(8));
        same(&later, &wanted);
        let (factor, matrix) = (Factor::PatchesT(unwritten), Factor::Matrix(all.t()));
        same(&factor, &matrix);
        let ((_, later), (_, wanted)) = (factor.split_at(16), matrix.split_at(16));
        same(&later, &wanted);
    }

    #[test]
    fn patches_are_packed_as_if_they_were_written() {
        for (image, kernel, stride, padding) in [
            ((5, 6, 4), (3, 3), 1, Padding::Same),
            ((7, 4, 8), (3, 2), 2, Padding::Same),
            ((9, 9, 68), (2, 3), 3, Padding::all(1)),
            ((9, 8, 12), (5, 4), 2, Padding::Valid),
            ((2, 1, 20), (3, 3), 1, Padding::all(2)),
        ] {
            let window = Window::new(image, kernel, (stride, stride), padding).unwrap();
            check::<12>(&window, stride);
            check::<8>(&window, stride);
            check::<6>(&window, stride);
            check::<4>(&window, stride);
            check::<2>(&window, stride);
        }
    }
}
