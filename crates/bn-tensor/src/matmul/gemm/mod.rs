//! The product of matrices that are large enough for packing to pay.
//!
//! `c = a·b` runs over blocks of `K`. A block of `b` is packed so that it stays in the second-level
//! cache, a panel of `a` so that it stays in the first, and a micro-kernel keeps a tile of `c` in
//! registers while it runs through both. This is the scheme of Goto and van de Geijn ("Anatomy of
//! High-Performance Matrix Multiplication", 2008).
//!
//! The sum of an element runs over `k` in order, whatever tile the element is in, so the bits do not
//! depend on how `c` is cut between threads.

pub(crate) mod kernel;
pub(crate) mod left;
pub(crate) mod pack;
pub(crate) mod patches;
pub(crate) mod right;
#[cfg(test)]
mod tests;

use crate::{
    magnitude::OfPiece,
    packing::{BLOCK_M, BUFFERS_F32, BUFFERS_F64, Buffers, block_columns, block_depth, blocks},
    scalar::Scalar,
    simd::{NullaryFnOnce, PerType, with_registers},
};
use kernel::{Start, Strip};
use left::LeftHandSide;
use ndarray::{ArrayView2, ArrayViewMut2, Axis, Slice};
use pack::panel_unit;
use pulp::{Simd, WithSimd};
use right::RightHandSide;
use std::ops::Range;

/// `c = a·b + start`, with this processor's registers and this thread's buffers; the rows of `c` are
/// contiguous. Returns the largest magnitude in `c` if `measures` is true.
pub(crate) fn gemm<'a, T: Scalar>(
    a: LeftHandSide<'a, T>,
    b: RightHandSide<'a, T>,
    start: Start<'a, T>,
    c: ArrayViewMut2<'a, T>,
    measures: bool,
) -> T {
    T::run::<Gemm>(Operands {
        a,
        b,
        start,
        c,
        measures,
    })
}

/// `c = a·b + start`
struct Operands<'a, T> {
    a: LeftHandSide<'a, T>,  // (M, K)
    b: RightHandSide<'a, T>, // (K, N)
    start: Start<'a, T>,
    c: ArrayViewMut2<'a, T>, // (M, N)
    measures: bool,
}

enum Gemm {}

impl<'a> PerType<'a> for Gemm {
    type Input<T: 'a> = Operands<'a, T>;
    type Output<T: 'a> = T;
    fn run_f32(operands: Operands<'a, f32>) -> f32 {
        BUFFERS_F32.with_borrow_mut(|buffers| with_registers(InBlocks { operands, buffers }))
    }
    fn run_f64(operands: Operands<'a, f64>) -> f64 {
        BUFFERS_F64.with_borrow_mut(|buffers| with_registers(InBlocks { operands, buffers }))
    }
}

/// The product block by block, for vector registers of any length.
struct InBlocks<'a, 'b, T> {
    operands: Operands<'a, T>,
    buffers: &'b mut Buffers<T>,
}

impl<T: Scalar> WithSimd for InBlocks<'_, '_, T> {
    type Output = T;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> T {
        // Nothing below is compiled for a processor that never runs it.
        assert!(!S::IS_SCALAR, "the caller has checked `has_registers`");
        let Self { operands, buffers } = self;
        let Operands {
            a,
            b,
            start,
            mut c,
            measures,
        } = operands;
        let mut largest = T::Bits::default();
        let ((m, k), (_, n)) = (a.dim(), b.dim());
        let width = 2 * T::lanes::<S>();
        let unit = panel_unit::<S>();
        let (depth, columns) = (block_depth::<T>(), block_columns::<T>());
        for ks in blocks(k, depth, 8) {
            let start = if ks.start == 0 {
                start
            } else {
                Start::Scaled(T::one())
            };
            for is in blocks(m, BLOCK_M, 3 * unit) {
                let packed_a = a.pack_block::<S>(is.clone(), ks.clone(), &mut buffers.a);
                for js in blocks(n, columns, width) {
                    let packed_b = b.pack_block(ks.clone(), js.clone(), width, &mut buffers.b);
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
                        let mut lines = c.slice_axis_mut(Axis(0), lines);
                        strip.add_to(simd, rows, lines.view_mut());
                        if measures && ks.end == k {
                            largest = largest.max(magnitude(lines.view(), js.clone()));
                        }
                        at += rows * ks.len();
                        i += rows;
                    }
                }
            }
        }
        T::from_magnitude_bits(largest)
    }
}

/// The bits of the largest magnitude in some columns of a few rows, which are still in the
/// first-level cache.
#[inline(always)]
fn magnitude<T: Scalar>(rows: ArrayView2<'_, T>, columns: Range<usize>) -> T::Bits {
    if let Some(values) = rows.to_slice()
        && columns.len() == rows.ncols()
    {
        return OfPiece(values).call();
    }
    let mut largest = T::Bits::default();
    for row in rows.outer_iter().filter_map(|row| row.to_slice()) {
        largest = largest.max(OfPiece(&row[columns.clone()]).call());
    }
    largest
}
