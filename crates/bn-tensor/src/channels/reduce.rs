//! Reductions to two results per channel of `(outer, channels, inner)`.
//!
//! Rows are cut into blocks whose size depends only on the size of the array. Each block writes its
//! results to a row of scratch, and these are combined in order, so the bits do not depend on the number
//! of threads.
//!
//! Blocks are whole rows, because memory is fastest when it is read in order: blocks of 512 columns of
//! a (8192, 4096) matrix were read at 9 GB/s, whole rows at 17, which is the speed of a plain read.

use super::Dims;
use crate::{
    parallel,
    scalar::Scalar,
    simd::{NullaryFnOnce, chunk, chunk_mut, vectorize},
};
use std::ops::Range;

/// The number of rows that are summed in the element type before the sums continue in double precision,
/// which takes as long as about five rows.
const TILE_ROWS: usize = 256;
/// The number of rows that are added in one sweep over the accumulators, so that these are loaded and
/// stored less often: with 1, 4 and 8 rows a (8192, 4096) matrix was read at 11, 15 and 17 GB/s. With two inputs 4
/// rows are better: 8 rows of 1024 values compete for the same lines of the first-level cache, and
/// (1024, 1024) took 0.35 ms instead of 0.26.
const SWEEP: usize = 8;
const SWEEP_OF_TWO: usize = 4;
/// The maximum number of columns that are reduced together, and two smaller widths: all accumulators are set to
/// zero first, whether they are used or not.
const MOST_COLUMNS: usize = 4096;
const MANY_COLUMNS: usize = 1024;
const FEW_COLUMNS: usize = 256;

/// Memory for partial sums. It is reused from call to call, so that a warm call allocates nothing.
#[derive(Debug, Default, Clone)]
pub struct Scratch {
    blocks: Vec<f64>,            // (blocks, 2·C): the results of blocks of rows
    pub(crate) unused: Vec<f64>, // (C): the second result of a reduction that has only one
}

/// The two results of each channel of a range.
pub(crate) struct Results<'a> {
    pub(crate) a: &'a mut [f64],
    pub(crate) b: &'a mut [f64],
}

/// A reduction to two results per channel. If `inner` is 1, whole rows are summed in the element type,
/// tile by tile; if not, the runs of each channel are.
pub(crate) trait Reduction: Sync {
    type T: Scalar;
    /// Whether it reads two inputs.
    const TWO_INPUTS: bool = false;
    /// Writes an estimate of the mean of each column, from column `first` on, to `shift`.
    fn begin(&self, rows: Range<usize>, first: usize, shift: &mut [Self::T]) {
        let _ = (rows, first, shift);
    }
    /// Adds `R` rows from `row` on, of `W` columns from `column` on, to `sums`. The rows are first added
    /// to each other, because a sum of few values has a smaller rounding error.
    fn strip<const R: usize, const W: usize>(
        &self,
        row: usize,
        column: usize,
        shift: &[Self::T; W],
        sums: [&mut [Self::T; W]; 2],
    );
    /// The results `(a, b)` after a tile of `count` rows with these `sums`; `seen` is the number of
    /// rows before it, and their results.
    fn flush(
        &self,
        seen: (u64, f64, f64),
        count: u64,
        shift: &mut Self::T,
        sums: [Self::T; 2],
    ) -> (f64, f64);
    /// The results `(a, b)` of rows `rows` of channel `c`.
    fn channel(&self, rows: Range<usize>, c: usize) -> (f64, f64);
    /// The results of two parts together; each is a number of values and their results.
    fn combine(&self, seen: (u64, f64, f64), later: (u64, f64, f64)) -> (f64, f64);
}

/// The accumulators of `M` columns.
struct Accumulators<T, const M: usize> {
    shift: [T; M],
    sums: [[T; M]; 2],
}

/// Writes the results of rows `rows` of the columns from `first` on, at most `M`.
struct Columns<'a, R, const M: usize> {
    reduction: &'a R,
    rows: Range<usize>,
    first: usize,
    out: Results<'a>,
}

impl<R: Reduction, const M: usize> NullaryFnOnce for Columns<'_, R, M> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            reduction,
            rows,
            first,
            out,
        } = self;
        let width = out.a.len();
        let (a, b) = (&mut out.a[..width], &mut out.b[..width]);
        a.fill(0.0);
        b.fill(0.0);
        let mut acc = Accumulators {
            shift: [R::T::default(); M],
            sums: [[R::T::default(); M]; 2],
        };
        reduction.begin(rows.clone(), first, &mut acc.shift[..width]);
        for start in rows.clone().step_by(TILE_ROWS) {
            let tile = start..(start + TILE_ROWS).min(rows.end);
            let mut row = tile.start;
            while !R::TWO_INPUTS && row + SWEEP <= tile.end {
                sweep::<R, M, SWEEP>(reduction, row, first, width, &mut acc);
                row += SWEEP;
            }
            while row + SWEEP_OF_TWO <= tile.end {
                sweep::<R, M, SWEEP_OF_TWO>(reduction, row, first, width, &mut acc);
                row += SWEEP_OF_TWO;
            }
            for row in row..tile.end {
                sweep::<R, M, 1>(reduction, row, first, width, &mut acc);
            }
            let (seen, count) = ((tile.start - rows.start) as u64, tile.len() as u64);
            let shift = &mut acc.shift[..width];
            let [sums_a, sums_b] = &acc.sums;
            let (sums_a, sums_b) = (&sums_a[..width], &sums_b[..width]);
            for j in 0..width {
                let (before, sums) = ((seen, a[j], b[j]), [sums_a[j], sums_b[j]]);
                (a[j], b[j]) = reduction.flush(before, count, &mut shift[j], sums);
            }
            for sums in &mut acc.sums {
                sums[..width].fill(R::T::default());
            }
        }
    }
}

/// Adds `N` rows to the accumulators, strip by strip, so that those of a strip stay in registers.
#[inline(always)]
fn sweep<R: Reduction, const M: usize, const N: usize>(
    reduction: &R,
    row: usize,
    first: usize,
    width: usize,
    acc: &mut Accumulators<R::T, M>,
) {
    let mut j = 0;
    while j + 32 <= width {
        strip::<R, M, N, 32>(reduction, row, first, j, acc);
        j += 32;
    }
    while j + 4 <= width {
        strip::<R, M, N, 4>(reduction, row, first, j, acc);
        j += 4;
    }
    while j < width {
        strip::<R, M, N, 1>(reduction, row, first, j, acc);
        j += 1;
    }
}

#[inline(always)]
fn strip<R: Reduction, const M: usize, const N: usize, const W: usize>(
    reduction: &R,
    row: usize,
    first: usize,
    j: usize,
    acc: &mut Accumulators<R::T, M>,
) {
    let [a, b] = &mut acc.sums;
    let sums = [chunk_mut(&mut a[j..]), chunk_mut(&mut b[j..])];
    reduction.strip::<N, W>(row, first + j, chunk(&acc.shift[j..]), sums);
}

/// Writes the results of rows `rows`.
fn block<R: Reduction>(reduction: &R, dims: Dims, rows: Range<usize>, out: Results<'_>) {
    if dims.inner != 1 {
        vectorize(Channels {
            reduction,
            rows,
            out,
        });
    } else if dims.channels <= FEW_COLUMNS {
        columns::<R, FEW_COLUMNS>(reduction, rows, out);
    } else if dims.channels <= MANY_COLUMNS {
        columns::<R, MANY_COLUMNS>(reduction, rows, out);
    } else {
        columns::<R, MOST_COLUMNS>(reduction, rows, out);
    }
}

/// Writes the results of rows `rows`, `M` columns at a time.
fn columns<R: Reduction, const M: usize>(reduction: &R, rows: Range<usize>, out: Results<'_>) {
    let chunks = out.a.chunks_mut(M).zip(out.b.chunks_mut(M));
    for (i, (a, b)) in chunks.enumerate() {
        vectorize(Columns::<_, M> {
            reduction,
            rows: rows.clone(),
            first: i * M,
            out: Results { a, b },
        });
    }
}

/// Writes the results of rows `rows` of every channel, where `inner` is not 1.
struct Channels<'a, R> {
    reduction: &'a R,
    rows: Range<usize>,
    out: Results<'a>,
}

impl<R: Reduction> NullaryFnOnce for Channels<'_, R> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (c, (a, b)) in self.out.a.iter_mut().zip(self.out.b).enumerate() {
            (*a, *b) = self.reduction.channel(self.rows.clone(), c);
        }
    }
}

/// Writes the results of every channel.
pub(crate) fn reduce(
    reduction: &impl Reduction,
    dims: Dims,
    out: Results<'_>,
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
    parallel::for_each_piece(&mut scratch[..], width, dims.len(), &|start, results| {
        let results: &mut [f64] = results;
        let first = start / width * rows;
        let last = (first + rows).min(dims.outer);
        let (a, b) = results.split_at_mut(channels);
        block(reduction, dims, first..last, Results { a, b });
    });
    vectorize(Combine {
        reduction,
        dims,
        rows,
        blocks: scratch,
        out,
    });
}

/// Combines the results of blocks of `rows` rows, in order.
struct Combine<'a, R> {
    reduction: &'a R,
    dims: Dims,
    rows: usize,
    blocks: &'a [f64], // (blocks, 2·C)
    out: Results<'a>,
}

impl<R: Reduction> NullaryFnOnce for Combine<'_, R> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Dims {
            outer,
            channels,
            inner,
        } = self.dims;
        let (a, b) = (&mut self.out.a[..channels], &mut self.out.b[..channels]);
        a.fill(0.0);
        b.fill(0.0);
        for (i, block) in self.blocks.chunks_exact(2 * channels).enumerate() {
            let first = i * self.rows;
            let seen = (first * inner) as u64;
            let count = (self.rows.min(outer - first) * inner) as u64;
            let (later_a, later_b) = block.split_at(channels);
            for c in 0..channels {
                let later = (count, later_a[c], later_b[c]);
                (a[c], b[c]) = self.reduction.combine((seen, a[c], b[c]), later);
            }
        }
    }
}
