//! Convolutions that read the images where they lie, in place of patches.
//!
//! The values under a row of the kernel are contiguous in a channels-last image. So a tile of outputs in
//! registers is the sum over rows of the kernel of a product whose left-hand side is the image itself, from
//! the pixel of each position on (Zhang, Franchetti and Low, "High Performance Zero-Memory Overhead Direct
//! Convolutions", 2018). Only a border of zeros is copied around each strip of an image, and only where the
//! window has padding.
//!
//! A transposed convolution is a convolution for each class of pixels that see the same part of the kernel.

mod geometry;
mod kernel;
mod pack;
mod source;
mod weights;

use super::shapes::{Sizes, To};
use crate::{
    error::Error,
    memory::checked_len,
    packing::{aligned, with_alignment},
    parallel::{self, Split},
    scalar::Scalar,
    simd::has_registers,
};
use geometry::Plan;
use kernel::Convolve;
use ndarray::ArrayView2;
use pack::Pack;
use source::Source;
use std::ops::Range;

pub(super) use weights::weights;

/// Columns of the widest panel of weights.
const WIDEST: usize = 32;

/// The least columns of a product with the weights. With fewer most of a vector would be empty.
const LEAST_COLUMNS: usize = 8;

/// The least number of pieces of work for each thread, if there are as many strips, so that none waits long for
/// another.
const PIECES: usize = 8;

/// The largest stride, in kernels. With larger ones most of a strip would be copied for nothing.
const MOST_SKIPPED: usize = 2;

/// Whether a convolution of these sizes is computed here: to the outputs, and then also the gradient of the
/// weights, or to the images. If that to the images is, so is that to the outputs.
pub(super) fn is_used(sizes: &Sizes<'_>, to: To) -> bool {
    let columns = match to {
        To::Outputs => sizes.out,
        To::Images => sizes.out.min(sizes.window.image().2),
    };
    let (kernel, stride) = (sizes.window.kernel(), sizes.window.stride());
    columns >= LEAST_COLUMNS
        && stride.0 <= MOST_SKIPPED * kernel.0
        && stride.1 <= MOST_SKIPPED * kernel.1
        && sizes.groups == 1
        && sizes.window.dilation() == (1, 1)
        && !sizes.window.is_pointwise()
        && has_registers()
}

/// The length of the room for `images` images.
pub(super) fn room_len<T>(
    op: &'static str,
    sizes: &Sizes<'_>,
    images: usize,
) -> Result<usize, Error> {
    let mut most = 0;
    for to in [To::Outputs, To::Images]
        .into_iter()
        .filter(|&to| is_used(sizes, to))
    {
        let plan = Plan::new(sizes, to);
        if !plan.is_unpadded() {
            most = most.max(checked_len::<T>(op, &[images, plan.strips(), plan.room()])?);
        }
    }
    Ok(most)
}

/// The length of the buffer that [`pack_all`] needs, whatever the registers.
pub(super) fn packed_len<T>(sizes: &Sizes<'_>, to: To) -> usize {
    let taps = sizes.window.kernel().0 * sizes.window.kernel().1;
    let (channels, out) = match to {
        To::Outputs => (sizes.window.image().2, sizes.out),
        To::Images => (sizes.out, sizes.window.image().2),
    };
    let columns = out.next_multiple_of(WIDEST);
    with_alignment::<T>((taps * channels).saturating_mul(columns))
}

/// The weights `w: (patch, out)` as [`convolve`] reads them, in a buffer of [`packed_len`] values.
pub(super) fn pack_all<'a, T: Scalar>(
    sizes: &Sizes<'_>,
    to: To,
    w: ArrayView2<'_, T>,
    buffer: &'a mut [T],
) -> &'a [T] {
    let len = buffer.len() - with_alignment::<T>(0);
    let packed = aligned(buffer, len);
    T::run::<Pack>(pack::Weights {
        plan: &Plan::new(sizes, to),
        to,
        kernel_columns: sizes.window.kernel().1,
        w: w.view(),
        packed: &mut *packed,
    });
    packed
}

/// To the outputs, `y = convolution(x, w) + bias`; to the images, `dx = bias + Σ dout·wᵀ`, with weights from
/// [`pack_all`]. `room` has [`room_len`] values.
pub(super) fn convolve<T: Scalar>(
    sizes: &Sizes<'_>,
    to: To,
    x: &[T],
    packed: &[T],
    bias: Option<&[T]>,
    y: &mut [T],
    room: &mut [T],
) {
    let plan = Plan::new(sizes, to);
    let image = plan.out.0 * plan.out.1 * plan.out.2;
    let count = y.len() / image * plan.strips();
    let piece = (count / (PIECES * parallel::threads())).max(1);
    let strips = Strips {
        plan: &plan,
        range: 0..count,
        piece,
        y,
        room,
    };
    let work = x.len().saturating_mul(sizes.window.patch());
    parallel::for_each_piece(strips, piece, work, &|_, strips| {
        let Strips { range, y, room, .. } = strips;
        let mut y = y;
        for strip in range {
            let (outputs, rest) = y.split_at_mut(plan.start(strip + 1) - plan.start(strip));
            y = rest;
            Source::copy(&plan, x, strip, room);
            T::run::<Convolve>(kernel::Strip {
                plan: &plan,
                rows: plan.strip(strip).1,
                source: Source::new(&plan, x, strip, Some(room)),
                packed,
                bias,
                y: outputs,
            });
        }
    });
}

/// The outputs of some strips, and room for what one strip of each piece reads: the strips of a piece take
/// turns in it, so that it stays in the first-level cache.
struct Strips<'a, T> {
    plan: &'a Plan,
    range: Range<usize>,
    piece: usize, // strips
    y: &'a mut [T],
    room: &'a mut [T],
}

impl<T: Send + Sync> Split for Strips<'_, T> {
    fn length(&self) -> usize {
        self.range.len()
    }

    fn split(self, at: usize) -> (Self, Self) {
        let middle = self.range.start + at;
        let (y0, y1) = self
            .y
            .split_at_mut(self.plan.start(middle) - self.plan.start(self.range.start));
        let pieces = match self.plan.is_unpadded() {
            true => 0,
            false => at / self.piece,
        };
        let (room0, room1) = self.room.split_at_mut(pieces * self.plan.room());
        let part = |range, y, room| Strips {
            range,
            y,
            room,
            ..self
        };
        (
            part(self.range.start..middle, y0, room0),
            part(middle..self.range.end, y1, room1),
        )
    }
}
