//! Depthwise convolutions, whose groups have one channel each. Nothing is multiplied as a matrix: the
//! channels of a pixel are adjacent in memory, and the inner loops run over them.
//!
//! ```text
//! y[i, j, c·m + q] = b[c·m + q] + Σ x[i·stride + …, j·stride + …, c]·w[…, c·m + q]    m = out / channels
//! ```

use super::{
    block::{Block, fill},
    shapes::Sizes,
};
use crate::{
    contiguous::in_order_mut,
    error::Error,
    matmul::vector::scale,
    parallel,
    scalar::Scalar,
    simd::{NullaryFnOnce, vectorize},
    window::Window,
};
use ndarray::ArrayViewMut2;
use std::ops::Range;

/// [`Block::convolve`], for `w: (kernel, out)`.
pub(super) fn convolve<T: Scalar>(
    block: &Block,
    sizes: &Sizes<'_>,
    x: &[T],
    w: &[T],
    bias: Option<&[T]>,
    y: &mut [T],
) {
    let (window, row) = (sizes.window, sizes.window.output().1 * sizes.out);
    let work = y.len().saturating_mul(kernel_len(window));
    parallel::for_each_piece(y, row, work, &|start, y: &mut [T]| {
        fill(bias, y);
        let (image, row) = block.row(start / row);
        let image = &x[image * window.image_len()..][..window.image_len()];
        vectorize(Outputs {
            window,
            image,
            row,
            w,
            y,
        });
    });
}

/// [`Block::transposed`], for `w: (kernel, out)`.
pub(super) fn transposed<T: Scalar>(
    block: &Block,
    sizes: &Sizes<'_>,
    dout: &[T],
    w: &[T],
    bias: Option<&[T]>,
    images: &mut [T],
) {
    let (window, (height, width, channels)) = (sizes.window, sizes.window.image());
    let (line, work) = (
        width * channels,
        dout.len().saturating_mul(kernel_len(window)),
    );
    parallel::for_each_piece(images, line, work, &|start, pixels: &mut [T]| {
        block.begin(bias, pixels);
        let (image, y) = (start / line / height, start / line % height);
        let of_image = block.places.len() * window.output().1 * sizes.out;
        vectorize(Pixels {
            window,
            dout: &dout[image * of_image..][..of_image],
            places: block.places.clone(),
            y,
            w,
            pixels,
        });
    });
}

/// Multiply-adds of a part of the weights' gradient.
const PART: usize = 1 << 18;
/// The most parts.
const PARTS: usize = 32;
/// Positions over which products are summed before their sum is added to that of the part. A sum of few
/// sums is more accurate than one of many products.
const RUN: usize = 64;

/// The number of parts for a block of so many positions.
fn parts(sizes: &Sizes<'_>, positions: usize) -> usize {
    let of_position = kernel_len(sizes.window).saturating_mul(sizes.out);
    let parts = positions.saturating_mul(of_position) / PART;
    let rows = positions / sizes.window.output().1;
    parts.clamp(1, PARTS).min(rows)
}

/// The shape `(parts, 2, kernel, out)` of the room that [`weights`] needs for a block.
pub(super) fn room(sizes: &Sizes<'_>, positions: usize) -> [usize; 4] {
    let parts = parts(sizes, positions);
    [parts, 2, kernel_len(sizes.window), sizes.out]
}

/// [`Block::weights`] for `dw: (kernel, out)`: rows of positions are summed in parts, and the parts in
/// order.
pub(super) fn weights<T: Scalar>(
    op: &'static str,
    block: &Block,
    sizes: &Sizes<'_>,
    [x, dout]: [&[T]; 2],
    beta: T,
    dw: &mut ArrayViewMut2<'_, T>,
    room: &mut [T],
) -> Result<(), Error> {
    let (window, dw) = (sizes.window, in_order_mut(op, dw)?);
    let (columns, len) = (window.output().1, dw.len());
    let positions = block.positions(sizes);
    let rows = positions / columns;
    let per_part = rows.div_ceil(parts(sizes, positions));
    let room = &mut room[..rows.div_ceil(per_part) * 2 * len];
    let work = dout.len().saturating_mul(kernel_len(window));
    parallel::for_each_piece(&mut *room, 2 * len, work, &|start, room: &mut [T]| {
        let (sum, of_run) = room.split_at_mut(len);
        sum.fill(T::zero());
        let first = start / (2 * len) * per_part;
        let end = (first + per_part).min(rows);
        let run = (RUN / columns).max(1);
        for first in (first..end).step_by(run) {
            of_run.fill(T::zero());
            for row in first..(first + run).min(end) {
                let (image, place) = block.row(row);
                vectorize(Weights {
                    window,
                    image: &x[image * window.image_len()..][..window.image_len()],
                    row: place,
                    dout: &dout[row * columns * sizes.out..][..columns * sizes.out],
                    dw: of_run,
                });
            }
            sum.iter_mut()
                .zip(&*of_run)
                .for_each(|(sum, &dw)| *sum += dw);
        }
    });
    scale(&mut *dw, beta);
    for part in room.chunks_exact(2 * len) {
        dw.iter_mut().zip(part).for_each(|(dw, &sum)| *dw += sum);
    }
    Ok(())
}

/// The number of pixels under the window.
fn kernel_len(window: &Window) -> usize {
    window.kernel().0 * window.kernel().1
}

/// Adds the products of one row of outputs.
struct Outputs<'a, T> {
    window: &'a Window,
    image: &'a [T], // (H, W, C)
    row: usize,
    w: &'a [T],     // (kernel, out)
    y: &'a mut [T], // (columns, out)
}

impl<T: Scalar> NullaryFnOnce for Outputs<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            window,
            image,
            row,
            w,
            y,
        } = self;
        let (columns, (_, width, channels)) = (window.output().1, window.image());
        let (kernel, out) = (window.kernel().1, y.len() / columns);
        for (line, from) in lines(window, row) {
            let (x, w) = (&image[from * width * channels..], &w[line * kernel * out..]);
            for_each_tap(window, |column, pixel, tap| {
                let y = &mut y[column * out..][..out];
                add_repeated(
                    y,
                    &x[pixel * channels..][..channels],
                    &w[tap * out..][..out],
                );
            });
        }
    }
}

/// Adds the products of one row of outputs to the gradient of the weights.
struct Weights<'a, T> {
    window: &'a Window,
    image: &'a [T], // (H, W, C)
    row: usize,
    dout: &'a [T],   // (columns, out)
    dw: &'a mut [T], // (kernel, out)
}

impl<T: Scalar> NullaryFnOnce for Weights<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            window,
            image,
            row,
            dout,
            dw,
        } = self;
        let (columns, (_, width, channels)) = (window.output().1, window.image());
        let (kernel, out) = (window.kernel().1, dout.len() / columns);
        for (line, from) in lines(window, row) {
            let (x, dw) = (
                &image[from * width * channels..],
                &mut dw[line * kernel * out..],
            );
            for_each_tap(window, |column, pixel, tap| {
                let dout = &dout[column * out..][..out];
                let dw = &mut dw[tap * out..][..out];
                add_repeated(dw, &x[pixel * channels..][..channels], dout);
            });
        }
    }
}

/// Adds the products of one row of pixels.
struct Pixels<'a, T> {
    window: &'a Window,
    dout: &'a [T], // of the image: (places, columns, out)
    places: Range<usize>,
    y: usize,
    w: &'a [T],          // (kernel, out)
    pixels: &'a mut [T], // (W, C)
}

impl<T: Scalar> NullaryFnOnce for Pixels<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            window,
            dout,
            places,
            y,
            w,
            pixels,
        } = self;
        let ((lines, kernel), channels) = (window.kernel(), window.image().2);
        let (columns, out) = (window.output().1, w.len() / (lines * kernel));
        for line in 0..lines {
            let Some(row) = window.place_row(y, line).filter(|row| places.contains(row)) else {
                continue;
            };
            let dout = &dout[(row - places.start) * columns * out..][..columns * out];
            let w = &w[line * kernel * out..][..kernel * out];
            for_each_tap(window, |column, pixel, tap| {
                let pixel = &mut pixels[pixel * channels..][..channels];
                add_sums(pixel, &dout[column * out..][..out], &w[tap * out..][..out]);
            });
        }
    }
}

/// The lines of the window, at the positions in row `row`, that are in the image, each with its image row.
fn lines(window: &Window, row: usize) -> impl Iterator<Item = (usize, usize)> {
    let (lines, first) = window.clip_rows(row);
    let down = window.dilation().0;
    lines
        .enumerate()
        .map(move |(i, line)| (line, first + i * down))
}

/// Calls `f(column, pixel, tap)` for the positions of a row, and for each column `tap` of the window that
/// is over a pixel of the image.
#[inline(always)]
fn for_each_tap(window: &Window, mut f: impl FnMut(usize, usize, usize)) {
    let right = window.dilation().1;
    for column in 0..window.output().1 {
        let (taps, first) = window.clip_columns(column);
        for (i, tap) in taps.enumerate() {
            f(column, first + i * right, tap);
        }
    }
}

/// `y[c·m + q] += x[c]·w[c·m + q]` for `x: (channels)`, `y, w: (channels·m)`.
#[inline(always)]
fn add_repeated<T: Scalar>(y: &mut [T], x: &[T], w: &[T]) {
    if y.len() == x.len() {
        for ((y, &x), &w) in y.iter_mut().zip(x).zip(w) {
            *y += x * w;
        }
        return;
    }
    let m = y.len() / x.len();
    for ((y, &x), w) in y.chunks_exact_mut(m).zip(x).zip(w.chunks_exact(m)) {
        for (y, &w) in y.iter_mut().zip(w) {
            *y += x * w;
        }
    }
}

/// `dx[c] += Σ dout[c·m + q]·w[c·m + q]` over q, for `dx: (channels)`, `dout, w: (channels·m)`.
#[inline(always)]
fn add_sums<T: Scalar>(dx: &mut [T], dout: &[T], w: &[T]) {
    if dx.len() == dout.len() {
        for ((dx, &dout), &w) in dx.iter_mut().zip(dout).zip(w) {
            *dx += dout * w;
        }
        return;
    }
    let m = dout.len() / dx.len();
    let groups = dout.chunks_exact(m).zip(w.chunks_exact(m));
    for (dx, (dout, w)) in dx.iter_mut().zip(groups) {
        for (&dout, &w) in dout.iter().zip(w) {
            *dx += dout * w;
        }
    }
}
