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
use kernel::{Convolve, pack};
use ndarray::ArrayView2;
use source::Source;
use std::ops::Range;

pub(super) use weights::weights;

/// Columns of the widest panel of weights.
const WIDEST: usize = 32;

/// The least columns of a product with the weights. With fewer most of a vector would be empty.
const LEAST_COLUMNS: usize = 8;

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
    let packed = packed_len::<T>(sizes, To::Outputs).max(packed_len::<T>(sizes, To::Images));
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
    checked_len::<T>(op, &[packed.saturating_add(most)])
}

/// The length of the packed weights, whatever the registers.
fn packed_len<T>(sizes: &Sizes<'_>, to: To) -> usize {
    let taps = sizes.window.kernel().0 * sizes.window.kernel().1;
    let (channels, out) = match to {
        To::Outputs => (sizes.window.image().2, sizes.out),
        To::Images => (sizes.out, sizes.window.image().2),
    };
    let columns = out.next_multiple_of(WIDEST);
    with_alignment::<T>((taps * channels).saturating_mul(columns))
}

/// To the outputs, `y = convolution(x, w) + bias`; to the images, `dx = bias + Σ dout·wᵀ`. `room` has
/// [`room_len`] values.
pub(super) fn convolve<T: Scalar>(
    sizes: &Sizes<'_>,
    to: To,
    x: &[T],
    w: ArrayView2<'_, T>,
    bias: Option<&[T]>,
    y: &mut [T],
    room: &mut [T],
) {
    let plan = Plan::new(sizes, to);
    let packed_len = packed_len::<T>(sizes, to);
    let (packed, room) = room.split_at_mut(packed_len);
    let packed = aligned(packed, packed_len - with_alignment::<T>(0));
    let packed = pack(&plan, sizes, to, w, packed);
    let image = plan.out.0 * plan.out.1 * plan.out.2;
    let strips = Strips {
        plan: &plan,
        range: 0..y.len() / image * plan.strips(),
        y,
        room,
    };
    let work = x.len().saturating_mul(sizes.window.patch());
    parallel::for_each_piece(strips, 1, work, &|strip, strips| {
        let Strips { y, room, .. } = strips;
        Source::copy(&plan, x, strip, room);
        T::run::<Convolve>(kernel::Strip {
            plan: &plan,
            rows: plan.strip(strip).1,
            source: Source::new(&plan, x, strip, Some(room)),
            packed,
            bias,
            y,
        });
    });
}

/// The outputs of some strips, and the room for what they read.
struct Strips<'a, T> {
    plan: &'a Plan,
    range: Range<usize>,
    y: &'a mut [T],
    room: &'a mut [T],
}

impl<T: Send + Sync> Split for Strips<'_, T> {
    fn length(&self) -> usize {
        self.range.len()
    }

    fn split(self, at: usize) -> (Self, Self) {
        let Self {
            plan,
            range,
            y,
            room,
        } = self;
        let middle = range.start + at;
        let (y0, y1) = y.split_at_mut(plan.start(middle) - plan.start(range.start));
        let room_len = if plan.is_unpadded() {
            0
        } else {
            at * plan.room()
        };
        let (room0, room1) = room.split_at_mut(room_len);
        let part = |range, y, room| Strips {
            plan,
            range,
            y,
            room,
        };
        (
            part(range.start..middle, y0, room0),
            part(middle..range.end, y1, room1),
        )
    }
}
