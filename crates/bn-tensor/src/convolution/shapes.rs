//! Sizes of a convolution and shapes of its arrays.

use crate::{error::Error, window::Window};
use ndarray::{ArrayView2, ArrayViewMut2};
use std::ops::Range;

/// Which way a convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum To {
    Outputs,
    Images,
}

/// The sizes of a convolution of some images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sizes<'a> {
    pub(super) window: &'a Window,
    pub(super) images: usize,
    pub(super) out: usize, // output channels
    pub(super) groups: usize,
}

impl<'a> Sizes<'a> {
    /// The sizes, if `x: (n, H·W·C)`, `w: (patch / groups, out)` and `y: (n, places·out)` agree. The
    /// number of groups is that for which they do.
    pub(super) fn check(
        op: &'static str,
        window: &'a Window,
        x: (usize, usize),
        w: (usize, usize),
        y: (usize, usize),
    ) -> Result<Self, Error> {
        let sizes = Self {
            window,
            images: x.0,
            out: w.1,
            groups: groups(window, w),
        };
        let of_group = window.patch() / sizes.groups;
        let outputs = window.places().saturating_mul(sizes.out);
        for (expected, got) in [
            ((sizes.images, window.image_len()), x),
            ((of_group, sizes.out), w),
            ((sizes.images, outputs), y),
        ] {
            same_dim(op, expected, got)?;
        }
        Ok(sizes)
    }

    /// Whether each channel is a group.
    pub(super) fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.window.image().2
    }

    /// The values of a patch, and the output channels, of a group.
    pub(super) fn group(&self, group: usize) -> (Range<usize>, Range<usize>) {
        let range = |all: usize| {
            let len = all / self.groups;
            group * len..(group + 1) * len
        };
        (range(self.window.patch()), range(self.out))
    }
}

/// The number of groups for weights of this shape; 1 if there is none.
fn groups(window: &Window, (rows, out): (usize, usize)) -> usize {
    let (lines, columns) = window.kernel();
    let (channels, of_group) = (window.image().2, rows / (lines * columns));
    let groups = channels / of_group.max(1);
    let fits = out > 0 && groups * of_group == channels && out.is_multiple_of(groups);
    if fits { groups } else { 1 }
}

/// Returns `Ok` if the two shapes are equal.
pub(super) fn same_dim(
    op: &'static str,
    expected: (usize, usize),
    got: (usize, usize),
) -> Result<(), Error> {
    match expected == got {
        true => Ok(()),
        false => Err(Error::shape(op, &[expected.0, expected.1], &[got.0, got.1])),
    }
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
