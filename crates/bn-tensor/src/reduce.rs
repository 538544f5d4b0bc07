//! Two figures per channel of `(outer, channels, inner)`.
//!
//! Rows are cut into blocks by their number alone; each block leaves its figures in a row of
//! scratch, and those are combined in order: the same bits at any thread count.
//!
//! Blocks are whole rows, because memory wants to be read in order: panels of 512 columns of a
//! (8192, 4096) matrix came at 9 GB/s, whole rows at 17, the pace of a plain read.

use crate::{Scalar, channels::Dims, par, simd::vectorize};
use std::ops::Range;

/// Rows whose values are summed in the element type before the sums go to double precision, which
/// costs about as much as five rows.
const TILE_ROWS: usize = 256;
/// Rows that one sweep over the accumulators adds, so that those are loaded and stored less often:
/// 1, 4 and 8 rows took a (8192, 4096) matrix at 11, 15 and 17 GB/s.
pub(crate) const SWEEP: usize = 8;
/// Lanes that a run of one channel is summed in: four of the widest vectors, so that additions
/// need not wait for each other.
pub(crate) const LANES: usize = 64;
/// Values of runs that are summed in the element type before the sum goes to double precision.
pub(crate) const RUN: usize = 4096;
/// Columns whose accumulators fit the first-level cache.
const FEW_COLUMNS: usize = 512;
/// Columns that are walked together at most.
const MANY_COLUMNS: usize = 4096;

/// Memory for partial sums, kept from call to call so that a warm call allocates nothing.
#[derive(Debug, Default, Clone)]
pub struct Scratch {
    blocks: Vec<f64>,            // (blocks, 2·C): the figures of blocks of rows
    pub(crate) unused: Vec<f64>, // (C): the second figure of a reduction to one
}

/// The figures of some values of each channel of a range.
pub(crate) struct Figures<'a> {
    pub(crate) a: &'a mut [f64],
    pub(crate) b: &'a mut [f64],
}

/// A reduction to two figures per channel.
pub(crate) trait Reduction: Sync {
    /// Writes the figures of rows `rows` of the channels from `first` on, at most `MAX`, where
    /// `inner` is 1.
    fn columns<const MAX: usize>(&self, rows: Range<usize>, first: usize, out: Figures<'_>);
    /// The figures `(a, b)` of rows `rows` of channel `c`, where it is not.
    fn channel(&self, rows: Range<usize>, c: usize) -> (f64, f64);
    /// The figures of `seen` values and of `count` later ones, together.
    fn combine(&self, seen: (u64, f64, f64), later: (u64, f64, f64)) -> (f64, f64);
}

/// Writes the figures of rows `rows`.
fn block(reduction: &impl Reduction, dims: Dims, rows: Range<usize>, out: Figures<'_>) {
    let Figures { a, b } = out;
    if dims.inner != 1 {
        vectorize(|| {
            for (c, (a, b)) in a.iter_mut().zip(b).enumerate() {
                (*a, *b) = reduction.channel(rows.clone(), c);
            }
        });
    } else if dims.channels <= FEW_COLUMNS {
        vectorize(|| reduction.columns::<FEW_COLUMNS>(rows, 0, Figures { a, b }));
    } else {
        let chunks = a.chunks_mut(MANY_COLUMNS).zip(b.chunks_mut(MANY_COLUMNS));
        for (i, (a, b)) in chunks.enumerate() {
            let (first, out) = (i * MANY_COLUMNS, Figures { a, b });
            vectorize(|| reduction.columns::<MANY_COLUMNS>(rows.clone(), first, out));
        }
    }
}

/// Writes the figures of every channel.
pub(crate) fn reduce(
    reduction: &impl Reduction,
    dims: Dims,
    out: Figures<'_>,
    scratch: &mut Scratch,
) {
    let (rows, channels) = (dims.block_rows(), dims.channels);
    if dims.len() == 0 || dims.outer <= rows {
        out.a.fill(0.0);
        out.b.fill(0.0);
        if dims.len() > 0 {
            block(reduction, dims, 0..dims.outer, out);
        }
        return;
    }
    let width = 2 * channels;
    let scratch = &mut scratch.blocks;
    scratch.resize(dims.outer.div_ceil(rows) * width, 0.0);
    par::for_each_piece(&mut scratch[..], width, dims.len(), &|start, figures| {
        let figures: &mut [f64] = figures;
        let first = start / width * rows;
        let last = (first + rows).min(dims.outer);
        let (a, b) = figures.split_at_mut(channels);
        block(reduction, dims, first..last, Figures { a, b });
    });
    vectorize(|| {
        for (i, later) in scratch.chunks_exact(width).enumerate() {
            let (later_a, later_b) = later.split_at(channels);
            if i == 0 {
                out.a.copy_from_slice(later_a);
                out.b.copy_from_slice(later_b);
                continue;
            }
            let seen = (i * rows * dims.inner) as u64;
            let count = (rows.min(dims.outer - i * rows) * dims.inner) as u64;
            let figures = out.a.iter_mut().zip(out.b.iter_mut());
            for ((a, b), (&later_a, &later_b)) in figures.zip(later_a.iter().zip(later_b)) {
                (*a, *b) = reduction.combine((seen, *a, *b), (count, later_a, later_b));
            }
        }
    });
}

/// Calls `f` with the tiles of `rows`.
#[inline(always)]
pub(crate) fn for_each_tile(rows: Range<usize>, mut f: impl FnMut(Range<usize>)) {
    for first in rows.clone().step_by(TILE_ROWS) {
        f(first..(first + TILE_ROWS).min(rows.end));
    }
}

/// The sum of the lanes, in double precision at the end.
#[inline(always)]
pub(crate) fn fold<T: Scalar>(mut lanes: [T; LANES]) -> f64 {
    for half in [32, 16, 8] {
        for k in 0..half {
            let upper = lanes[k + half];
            lanes[k] += upper;
        }
    }
    lanes[..8].iter().map(|v| v.as_f64()).sum()
}
