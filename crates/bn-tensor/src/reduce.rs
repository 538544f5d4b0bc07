//! Sums over the channels of `(outer, channels, inner)`.
//!
//! Rows are cut into blocks by their number alone. Each block leaves its partial results in a row
//! of scratch, and the rows are combined in order: the same bits at any thread count.

use crate::{
    Error, Scalar,
    channels::{Dims, in_order},
    error::same_len,
    par,
    simd::vectorize,
};
use ndarray::ArrayView3;
use std::ops::Range;

/// Columns are walked in strips whose accumulators stay in vector registers.
const STRIP: usize = 32;
/// Rows of a tile: `TILE_ROWS × STRIP` values (16 KiB of f32) stay in the first-level cache.
pub(crate) const TILE_ROWS: usize = 128;
/// Values of a run that are summed in the element type before the sum goes to double precision.
pub(crate) const RUN: usize = 1024;
/// At most so many blocks, for short columns; long ones get more, of `MAX_BLOCK` rows.
const BLOCKS: usize = 32;
const MIN_BLOCK_ROWS: usize = 64;
const MAX_BLOCK_ROWS: usize = 4096;

/// Memory for partial sums, kept from call to call so that a warm call allocates nothing.
#[derive(Debug, Default, Clone)]
pub struct Scratch(Vec<f64>);

/// A reduction to two figures per channel, `out[c]` and `out[channels + c]`.
pub(crate) trait Kernel: Sync {
    /// Adds rows `rows` of columns `j..j + W` (`inner == 1`) to `out`, which has seen `seen` rows.
    fn strip<const W: usize>(&self, rows: Range<usize>, j: usize, out: &mut [f64], seen: usize);
    /// Adds one run, the elements `range` of channel `c`, to `out`, which has seen `seen` values.
    fn run(&self, range: Range<usize>, c: usize, out: &mut [f64], seen: usize);
    /// Adds a later block's figures, of `count` values per channel, to `out`, of `seen` values.
    fn combine(&self, out: &mut [f64], seen: usize, block: &[f64], count: usize);
}

fn block_rows(dims: Dims) -> usize {
    if dims.inner == 1 {
        let rows = dims.outer.div_ceil(BLOCKS).next_multiple_of(TILE_ROWS / 2);
        rows.clamp(MIN_BLOCK_ROWS, MAX_BLOCK_ROWS)
    } else {
        (MIN_BLOCK_ROWS * STRIP / dims.inner).max(1)
    }
}

/// Reduces every channel into `out`, `(2·channels)`, which is overwritten.
pub(crate) fn reduce(kernel: &impl Kernel, dims: Dims, out: &mut [f64], scratch: &mut Scratch) {
    out.fill(0.0);
    if dims.len() == 0 {
        return;
    }
    let rows = block_rows(dims);
    let blocks = dims.outer.div_ceil(rows);
    if blocks <= 1 {
        block(kernel, dims, 0..dims.outer, out);
        return;
    }
    let width = out.len();
    scratch.0.clear();
    scratch.0.resize(blocks * width, 0.0);
    par::for_each_piece(&mut scratch.0[..], width, dims.len(), &|start, partial| {
        let first = start / width * rows;
        let last = (first + rows).min(dims.outer);
        block(kernel, dims, first..last, partial);
    });
    for (b, partial) in scratch.0.chunks_exact(width).enumerate() {
        let count = rows.min(dims.outer - b * rows);
        kernel.combine(out, b * rows * dims.inner, partial, count * dims.inner);
    }
}

fn block(kernel: &impl Kernel, dims: Dims, rows: Range<usize>, out: &mut [f64]) {
    if dims.inner == 1 {
        vectorize(|| tiles(kernel, dims.channels, rows, out));
    } else {
        vectorize(|| runs(kernel, dims, rows, out));
    }
}

#[inline(always)]
fn tiles(kernel: &impl Kernel, channels: usize, rows: Range<usize>, out: &mut [f64]) {
    let mut first = rows.start;
    while first < rows.end {
        let tile = first..(first + TILE_ROWS).min(rows.end);
        let seen = tile.start - rows.start;
        let mut j = 0;
        while j + STRIP <= channels {
            kernel.strip::<STRIP>(tile.clone(), j, out, seen);
            j += STRIP;
        }
        while j + 4 <= channels {
            kernel.strip::<4>(tile.clone(), j, out, seen);
            j += 4;
        }
        while j < channels {
            kernel.strip::<1>(tile.clone(), j, out, seen);
            j += 1;
        }
        first = tile.end;
    }
}

#[inline(always)]
fn runs(kernel: &impl Kernel, dims: Dims, rows: Range<usize>, out: &mut [f64]) {
    let first_row = rows.start;
    for o in rows {
        for c in 0..dims.channels {
            let start = (o * dims.channels + c) * dims.inner;
            let end = start + dims.inner;
            let mut first = start;
            while first < end {
                let last = (first + RUN).min(end);
                let seen = (o - first_row) * dims.inner + first - start;
                kernel.run(first..last, c, out, seen);
                first = last;
            }
        }
    }
}

/// The first `W` values of `row`.
#[inline(always)]
pub(crate) fn lanes<T, const W: usize>(row: &[T]) -> &[T; W] {
    row.first_chunk().expect("a strip lies inside its row")
}

/// Sums `f(i)` over `range`, in `STRIP` lanes that are added up in order.
#[inline(always)]
pub(crate) fn sum_run<T: Scalar>(range: Range<usize>, f: impl Fn(usize) -> T) -> T {
    let mut acc = [T::zero(); STRIP];
    let (start, len) = (range.start, range.len());
    let whole = len / STRIP * STRIP;
    for i in (0..whole).step_by(STRIP) {
        for (k, a) in acc.iter_mut().enumerate() {
            *a += f(start + i + k);
        }
    }
    for (a, i) in acc.iter_mut().zip(whole..len) {
        *a += f(start + i);
    }
    acc.into_iter().sum()
}

fn add(out: &mut [f64], block: &[f64]) {
    for (a, b) in out.iter_mut().zip(block) {
        *a += b;
    }
}

struct SumAndDot<'a, T> {
    x: &'a [T],
    center: &'a [T],
    d: &'a [T],
    channels: usize,
}

impl<T: Scalar> Kernel for SumAndDot<'_, T> {
    #[inline(always)]
    fn strip<const W: usize>(&self, rows: Range<usize>, j: usize, out: &mut [f64], _: usize) {
        let center = lanes::<T, W>(&self.center[j..]);
        let (mut sum, mut dot) = ([T::zero(); W], [T::zero(); W]);
        for r in rows {
            let at = r * self.channels + j;
            let (x, d) = (lanes::<T, W>(&self.x[at..]), lanes::<T, W>(&self.d[at..]));
            for k in 0..W {
                sum[k] += d[k];
                dot[k] += d[k] * (x[k] - center[k]);
            }
        }
        for k in 0..W {
            out[j + k] += sum[k].as_f64();
            out[self.channels + j + k] += dot[k].as_f64();
        }
    }

    #[inline(always)]
    fn run(&self, range: Range<usize>, c: usize, out: &mut [f64], _: usize) {
        let (x, d) = (&self.x[range.clone()], &self.d[range]);
        let center = self.center[c];
        out[c] += sum_run(0..d.len(), |i| d[i]).as_f64();
        out[self.channels + c] += sum_run(0..d.len(), |i| d[i] * (x[i] - center)).as_f64();
    }

    fn combine(&self, out: &mut [f64], _: usize, block: &[f64], _: usize) {
        add(out, block);
    }
}

/// `out[c] = Σ d` and `out[C + c] = Σ d·(x − center)` over each channel, for
/// `x, d: (outer, C, inner)`, `center: (C)`, `out: (2·C)`.
///
/// These are the two sums of BatchNormalization's backward pass. Naive form:
/// [`naive::channel_sum_and_dot`](crate::naive::channel_sum_and_dot).
///
/// # Errors
/// [`Error::ShapeMismatch`], [`Error::NotContiguous`].
pub fn channel_sum_and_dot<T: Scalar>(
    x: ArrayView3<'_, T>,
    center: &[T],
    d: ArrayView3<'_, T>,
    out: &mut [f64],
    scratch: &mut Scratch,
) -> Result<(), Error> {
    const OP: &str = "channel_sum_and_dot";
    let (x, dims) = in_order(OP, &x)?;
    let (d, d_dims) = in_order(OP, &d)?;
    dims.expect(OP, d_dims)?;
    same_len(OP, dims.channels, center.len())?;
    same_len(OP, 2 * dims.channels, out.len())?;
    let dims = dims.one_channel_as_a_run();
    let channels = dims.channels;
    let kernel = SumAndDot {
        x,
        center,
        d,
        channels,
    };
    reduce(&kernel, dims, out, scratch);
    Ok(())
}

struct Sum<'a, T> {
    x: &'a [T],
    channels: usize,
}

impl<T: Scalar> Kernel for Sum<'_, T> {
    #[inline(always)]
    fn strip<const W: usize>(&self, rows: Range<usize>, j: usize, out: &mut [f64], _: usize) {
        let mut sum = [T::zero(); W];
        for r in rows {
            let x = lanes::<T, W>(&self.x[r * self.channels + j..]);
            for k in 0..W {
                sum[k] += x[k];
            }
        }
        for k in 0..W {
            out[j + k] += sum[k].as_f64();
        }
    }

    #[inline(always)]
    fn run(&self, range: Range<usize>, c: usize, out: &mut [f64], _: usize) {
        out[c] += sum_run(range, |i| self.x[i]).as_f64();
    }

    fn combine(&self, out: &mut [f64], _: usize, block: &[f64], _: usize) {
        add(out, block);
    }
}

/// `out[c] = Σ x` over each channel, for `x: (outer, C, inner)`, `out: (C)`.
///
/// Tiles are summed in the element type and added up in double precision. Naive form:
/// [`naive::channel_sum`](crate::naive::channel_sum).
///
/// ```
/// use ndarray::Array3;
/// let x = Array3::<f32>::ones((100, 3, 1)); // a (100, 3) matrix
/// let mut sum = [0.0; 3];
/// bn_tensor::channel_sum(x.view(), &mut sum, &mut Default::default())?;
/// assert_eq!(sum, [100.0; 3]);
/// # Ok::<(), bn_tensor::Error>(())
/// ```
///
/// # Errors
/// [`Error::ShapeMismatch`], [`Error::NotContiguous`].
pub fn channel_sum<T: Scalar>(
    x: ArrayView3<'_, T>,
    out: &mut [f64],
    scratch: &mut Scratch,
) -> Result<(), Error> {
    let (x, dims) = in_order("channel_sum", &x)?;
    same_len("channel_sum", dims.channels, out.len())?;
    let dims = dims.one_channel_as_a_run();
    let channels = dims.channels;
    reduce(&Sum { x, channels }, dims, out, scratch);
    Ok(())
}
