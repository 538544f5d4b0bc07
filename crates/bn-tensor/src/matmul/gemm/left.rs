//! The left-hand side of a product: a matrix, or the patches of images without storing them.

use super::{
    pack::{pack, panel_rows, panel_unit},
    patches::Patches,
};
use crate::{packing::aligned, scalar::Scalar};
use ndarray::{ArrayView2, Axis, Slice};
use pulp::Simd;
use std::ops::Range;

/// `a` in `c = a·b`.
#[derive(Clone)]
pub(crate) enum LeftHandSide<'a, T> {
    Matrix(ArrayView2<'a, T>), // (M, K)
    Patches(Patches<'a, T>),   // (places, parts)
    PatchesT(Patches<'a, T>),  // (parts, places)
}

impl<'a, T: Scalar> LeftHandSide<'a, T> {
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
                let (p0, p1) = p.split_places(at);
                (Self::Patches(p0), Self::Patches(p1))
            }
            Self::PatchesT(p) => {
                let (p0, p1) = p.split_parts(at);
                (Self::PatchesT(p0), Self::PatchesT(p1))
            }
        }
    }

    /// Packs rows `is` of columns `ks` into panels, one after the other; a panel holds, for each `k`,
    /// the values of its rows. If the last rows do not fill a panel they are padded with zeros.
    #[inline(always)]
    pub(super) fn pack_block<'b, S: Simd>(
        &self,
        is: Range<usize>,
        ks: Range<usize>,
        buffer: &'b mut [T],
    ) -> &'b [T] {
        let (m, depth, unit) = (is.len(), ks.len(), panel_unit::<S>());
        let packed = aligned(buffer, m.next_multiple_of(unit) * depth);
        // First the rows in panels of three units, then the rest, in panels of the same height.
        let (panels, left) = (m / (3 * unit), m % (3 * unit));
        let whole_panels = panels - usize::from(panels > 0 && (1..=unit).contains(&left));
        let full = whole_panels * 3 * unit;
        let (whole, rest) = packed.split_at_mut(full * depth);
        let middle = is.start + full;
        for (lines, packed, width) in [
            (is.start..middle, whole, 3 * unit),
            (middle..is.end, rest, panel_rows(m - full, unit)),
        ] {
            let ks = ks.clone();
            if const { panel_unit::<S>() == 4 } {
                match width {
                    0 => {}
                    12 => self.pack_panels::<12>(lines, ks, packed),
                    8 => self.pack_panels::<8>(lines, ks, packed),
                    _ => self.pack_panels::<4>(lines, ks, packed),
                }
            } else {
                match width {
                    0 => {}
                    6 => self.pack_panels::<6>(lines, ks, packed),
                    4 => self.pack_panels::<4>(lines, ks, packed),
                    _ => self.pack_panels::<2>(lines, ks, packed),
                }
            }
        }
        packed
    }

    /// Panels of `WIDTH` rows: `panel[k, i] = a[i, k]`, and 0 beyond the last row.
    #[inline(always)]
    fn pack_panels<const WIDTH: usize>(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        naive,
        window::{Padding, Window, WindowConfig},
    };
    use ndarray::{Array2, Array4};

    /// All patches of some images as a matrix, by the naive convolution with the identity matrix as
    /// weights.
    fn stored(window: &Window, stride: usize, n: usize, x: &[f32]) -> Array2<f32> {
        let ((h, w, c), (rows, columns)) = (window.image(), window.kernel());
        let images = Array4::from_shape_vec((n, h, w, c), x.to_vec()).unwrap();
        let one =
            Array2::eye(window.patch()).into_shape_with_order((rows, columns, c, window.patch()));
        let y = naive::convolve(
            images.view(),
            one.unwrap().view(),
            (stride, stride),
            window.dilation(),
            window.before(),
            window.output(),
        );
        y.into_shape_with_order((n * window.places(), window.patch()))
            .unwrap()
    }

    fn check<const WIDTH: usize>(window: &Window, stride: usize) {
        const N: usize = 3;
        let x: Vec<f32> = (1..=N * window.image_len()).map(|i| i as f32).collect();
        let all = stored(window, stride, N, &x);
        let implicit = Patches {
            window,
            x: &x,
            places: 0..all.nrows(),
            parts: 0..all.ncols(),
        };
        let same = |got: &LeftHandSide<'_, f32>, want: &LeftHandSide<'_, f32>| {
            let ((m, k), fits) = (want.dim(), |len: usize| len.next_multiple_of(WIDTH));
            assert_eq!(got.dim(), (m, k));
            for (is, ks) in [(0..m, 0..k), (4.min(m)..m, 1..k), (0..m.min(20), 0..k / 2)] {
                let len = fits(is.len()) * ks.len();
                let (mut a, mut b) = (vec![-1.0; len], vec![-2.0; len]);
                got.pack_panels::<WIDTH>(is.clone(), ks.clone(), &mut a);
                want.pack_panels::<WIDTH>(is.clone(), ks.clone(), &mut b);
                assert!(a == b, "{window:?} {is:?} {ks:?}");
            }
        };
        let (patches, matrix) = (
            LeftHandSide::Patches(implicit.clone()),
            LeftHandSide::Matrix(all.view()),
        );
        same(&patches, &matrix);
        let ((_, later), (_, wanted)) = (patches.split_at(8), matrix.split_at(8));
        same(&later, &wanted);
        let (patches, matrix) = (
            LeftHandSide::PatchesT(implicit),
            LeftHandSide::Matrix(all.t()),
        );
        same(&patches, &matrix);
        let ((_, later), (_, wanted)) = (patches.split_at(16), matrix.split_at(16));
        same(&later, &wanted);
    }

    #[test]
    fn implicit_patches_are_packed_as_the_stored_ones() {
        for (image, kernel, stride, padding, dilation) in [
            ((5, 6, 4), (3, 3), 1, Padding::Same, (1, 1)),
            ((7, 4, 8), (3, 2), 2, Padding::Same, (1, 1)),
            ((9, 9, 68), (2, 3), 3, Padding::all(1), (1, 1)),
            ((9, 8, 12), (5, 4), 2, Padding::Valid, (1, 1)),
            ((2, 1, 20), (3, 3), 1, Padding::all(2), (1, 1)),
            ((7, 9, 8), (3, 2), 1, Padding::Same, (2, 3)),
            ((9, 8, 68), (2, 3), 2, Padding::all(3), (3, 2)),
        ] {
            let config = WindowConfig {
                dilation,
                ..WindowConfig::new(kernel, (stride, stride), padding)
            };
            let window = Window::with_config(image, config).unwrap();
            check::<12>(&window, stride);
            check::<8>(&window, stride);
            check::<6>(&window, stride);
            check::<4>(&window, stride);
            check::<2>(&window, stride);
        }
    }
}
