//! The product of matrices, for those that are large enough that the packing pays.
//!
//! `c = a·b` runs over blocks of `K`; a block of `b` is packed so that it stays in the second-level
//! cache, a panel of `a` so that it stays in the first, and a micro-kernel keeps a tile of `c` in
//! registers while it runs through both. This is the scheme of Goto and van de Geijn ("Anatomy of
//! High-Performance Matrix Multiplication", 2008).
//!
//! An element's sum runs over `k` in order, whatever tile the element falls into: so the bits do
//! not depend on how `c` is cut between threads.

mod factor;
mod kernel;
mod pack;
mod right;
#[cfg(test)]
mod tests;
mod transpose;
mod vectors;

use crate::Scalar;
pub(crate) use factor::{Factor, Patches};
use kernel::Strip;
use ndarray::{ArrayViewMut2, Axis, Slice};
use pack::pack_rows;
use pulp::{Simd, WithSimd};
pub(crate) use right::{PackedRight, Right};
use std::ops::Range;
pub(crate) use vectors::Vectors;

/// Bytes of a row of `a` in a block: a panel of 12 is 24 KiB, of the 32 KiB or more of a
/// first-level cache. With half of it a large product takes 5 % longer, for `c` is read and written
/// twice as often; with twice or four times as much up to 10 %.
const BLOCK_K: usize = 2048;
/// Rows of a block of `a`: at most 4 MiB, of the third-level cache, from which a panel at a time
/// comes to the first.
const BLOCK_M: usize = 2048;
/// Bytes of a row of `b` in a block: with `BLOCK_K` half a MiB of f32, of the second-level cache.
const BLOCK_N: usize = 1024;

/// What the product is added to.
#[derive(Clone, Copy)]
pub enum Start<'a, T> {
    /// To this many times the old values of `c`, which are not read where it is 0.
    Scaled(T),
    /// To this row, for each row of `c`.
    Row(&'a [T]),
}

/// The packed blocks, to be reused. Large enough for every product from the start: the system
/// gives memory for what is touched, and no later product allocates.
#[derive(Debug)]
pub(crate) struct Packed<T> {
    a: Vec<T>,
    b: Vec<T>,
}

impl<T: Vectors> Packed<T> {
    fn new() -> Self {
        let (depth, columns) = (block_depth::<T>(), block_columns::<T>());
        let rows = BLOCK_M + 12; // the last panel's
        Self {
            a: vec![T::zero(); pack::with_alignment::<T>(rows * depth)],
            b: vec![T::zero(); pack::with_alignment::<T>(columns * depth)],
        }
    }
}

/// Allocates this thread's buffers, so that no product does.
#[cfg(feature = "parallel")]
pub(crate) fn prepare_thread() {
    f32::prepare_thread();
    f64::prepare_thread();
}

/// `c = a·b + start`; the rows of `c` are contiguous.
pub(crate) struct Gemm<'a, 'p, T> {
    pub(crate) a: Factor<'a, T>, // (M, K)
    pub(crate) b: Right<'a, T>,  // (K, N)
    pub(crate) start: Start<'a, T>,
    pub(crate) c: ArrayViewMut2<'a, T>, // (M, N)
    pub(crate) packed: &'p mut Packed<T>,
}

impl<T: Scalar> WithSimd for Gemm<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            a,
            b,
            start,
            mut c,
            packed,
        } = self;
        let ((m, k), (_, n)) = (a.dim(), b.dim());
        let width = 2 * T::lanes::<S>();
        // Twelve rows of two vectors fill 24 of 32 registers, six 12 of 16.
        let unit = if S::REGISTER_COUNT >= 32 { 4 } else { 2 };
        let (depth, columns) = (block_depth::<T>(), block_columns::<T>());
        for ks in blocks(k, depth, 8) {
            let start = if ks.start == 0 {
                start
            } else {
                Start::Scaled(T::one())
            };
            for is in blocks(m, BLOCK_M, 3 * unit) {
                let packed_a = pack_rows(&a, is.clone(), ks.clone(), unit, &mut packed.a);
                for js in blocks(n, columns, width) {
                    let packed_b = b.pack(ks.clone(), js.clone(), width, &mut packed.b);
                    let (mut i, mut at) = (is.start, 0);
                    while i < is.end {
                        let rows = pack::panel_rows(is.end - i, unit);
                        let strip = Strip {
                            a: &packed_a[at..at + rows * ks.len()],
                            b: packed_b,
                            columns: js.clone(),
                            depth: ks.len(),
                            start,
                        };
                        let lines = Slice::from(i..(i + rows).min(is.end));
                        strip.add_to(simd, rows, c.slice_axis_mut(Axis(0), lines));
                        at += rows * ks.len();
                        i += rows;
                    }
                }
            }
        }
    }
}

/// Rows of a block of `b`.
fn block_depth<T>() -> usize {
    BLOCK_K / size_of::<T>()
}

/// Columns of a block of `b`.
fn block_columns<T>() -> usize {
    BLOCK_N / size_of::<T>()
}

/// Cuts `0..len` into blocks of nearly the same length, of at most `most`, a multiple of `unit`.
fn blocks(len: usize, most: usize, unit: usize) -> impl Iterator<Item = Range<usize>> {
    let count = len.div_ceil(most).max(1);
    let block = len.div_ceil(count).next_multiple_of(unit);
    (0..len)
        .step_by(block.max(1))
        .map(move |start| start..(start + block).min(len))
}
