//! The gradient of a convolution with respect to its weights.

use super::{geometry::Plan, source::Source};
use crate::{
    convolution::shapes::{Sizes, To},
    matmul::gemm::pack::panel_unit,
    parallel,
    scalar::Scalar,
    simd::{PerType, chunk, with_registers},
};
use pulp::{Simd, WithSimd};
use std::{array::from_fn, ops::Range};

/// A thread computes a multiple of so many rows of the gradient: whole tiles of any height.
const ROWS: usize = 12;

/// The bytes of the copies of a group of strips, which should stay in the second-level cache.
const GROUP: usize = 1 << 17;
/// The least number of strips of a group for each thread, which the threads copy together.
const STRIPS: usize = 8;

/// `dw += patches(x)ᵀ·dout` for `dw: (patch, out)`. `room` has [`room_len`](super::room_len) values.
pub(in crate::convolution) fn weights<T: Scalar>(
    sizes: &Sizes<'_>,
    [x, dout]: [&[T]; 2],
    dw: &mut [T],
    room: &mut [T],
) {
    let plan = Plan::new(sizes, To::Outputs);
    let images = x.len() / sizes.window.image_len();
    let strips = images * plan.strips();
    let (len, work) = (plan.room(), x.len().saturating_mul(sizes.window.patch()));
    // As many rows as possible, so that a strip is read into the first-level cache once. No cut changes the
    // order of a sum.
    let rows = sizes.window.patch().div_ceil(parallel::threads());
    let rows = rows.next_multiple_of(ROWS);
    let group = (GROUP / size_of::<T>() / len.max(1)).max(STRIPS * parallel::threads());
    for first in (0..strips).step_by(group) {
        let group = first..strips.min(first + group);
        if !plan.is_unpadded() {
            let room = &mut room[..group.len() * len];
            parallel::for_each_piece(room, len, work, &|start, room: &mut [T]| {
                Source::copy(&plan, x, first + start / len, room);
            });
        }
        let room = &*room;
        parallel::for_each_piece(&mut *dw, rows * sizes.out, work, &|start, dw: &mut [T]| {
            let patch = start / sizes.out;
            for strip in group.clone() {
                T::run::<Weights>(Part {
                    plan: &plan,
                    source: Source::new(&plan, x, strip, room.get((strip - first) * len..)),
                    dout: &dout[plan.start(strip)..plan.start(strip + 1)],
                    patch: patch..patch + dw.len() / sizes.out,
                    run: sizes.window.kernel().1 * plan.source.2,
                    advance: sizes.window.stride(),
                    dw: &mut *dw,
                });
            }
        });
    }
}

enum Weights {}

impl<'a> PerType<'a> for Weights {
    type Input<T: 'a> = Part<'a, T>;
    type Output<T: 'a> = ();
    fn run_f32(part: Part<'a, f32>) {
        with_registers(part)
    }
    fn run_f64(part: Part<'a, f64>) {
        with_registers(part)
    }
}

/// Some rows of the gradient, and a strip that is added to them.
struct Part<'a, T> {
    plan: &'a Plan,
    source: Source<'a, T>,
    dout: &'a [T],           // (rows, columns, out)
    patch: Range<usize>,     // the rows of the gradient
    run: usize,              // values under a row of the kernel
    advance: (usize, usize), // pixels from position to position
    dw: &'a mut [T],
}

impl<T: Scalar> WithSimd for Part<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // Nothing below is compiled for a processor that never runs it.
        assert!(!S::IS_SCALAR, "the caller has checked `has_registers`");
        let mut row = self.patch.start;
        while row < self.patch.end {
            // A tile lies under one row of the kernel.
            let left = (self.run - row % self.run).min(self.patch.end - row);
            row += if const { panel_unit::<S>() == 4 } {
                match left {
                    12.. => self.tiles::<S, 12>(simd, row),
                    8.. => self.tiles::<S, 8>(simd, row),
                    4.. => self.tiles::<S, 4>(simd, row),
                    _ => self.tiles::<S, 1>(simd, row),
                }
            } else {
                match left {
                    6.. => self.tiles::<S, 6>(simd, row),
                    4.. => self.tiles::<S, 4>(simd, row),
                    2.. => self.tiles::<S, 2>(simd, row),
                    _ => self.tiles::<S, 1>(simd, row),
                }
            };
        }
    }
}

impl<T: Scalar> Part<'_, T> {
    /// Adds to `ROWS` rows of the gradient, from `row` on. Returns `ROWS`.
    #[inline(always)]
    fn tiles<S: Simd, const ROWS: usize>(&mut self, simd: S, row: usize) -> usize {
        let (out, lanes) = (self.plan.out.2, T::lanes::<S>());
        for j in (0..out).step_by(2 * lanes) {
            if j + lanes < out {
                self.tile::<S, ROWS, 2>(simd, row, j..out.min(j + 2 * lanes));
            } else {
                self.tile::<S, ROWS, 1>(simd, row, j..out.min(j + lanes));
            }
        }
        ROWS
    }

    #[inline(always)]
    fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        row: usize,
        columns: Range<usize>,
    ) {
        let (out, lanes) = (self.plan.out.2, T::lanes::<S>());
        let sums = if columns.len() == VECTORS * lanes {
            self.product::<S, ROWS, VECTORS>(simd, row, |d| {
                let d = T::vectors::<S>(&d[columns.clone()]);
                *chunk::<_, VECTORS>(d)
            })
        } else {
            self.product::<S, ROWS, VECTORS>(simd, row, |d| {
                let mut parts = d[columns.clone()].chunks(lanes);
                from_fn(|_| T::load(simd, parts.next().unwrap_or_default()))
            })
        };
        let rows = self.dw[(row - self.patch.start) * out..].chunks_exact_mut(out);
        for (dw, sums) in rows.zip(sums) {
            for (dw, sum) in dw[columns.clone()].chunks_mut(lanes).zip(sums) {
                let old = T::load(simd, dw);
                T::store(simd, dw, T::plus(simd, old, sum));
            }
        }
    }

    /// `Σ source·dout` over the positions of the strip, for the values of a patch from `row` on.
    #[inline(always)]
    fn product<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        row: usize,
        load: impl Fn(&[T]) -> [T::Vector<S>; VECTORS],
    ) -> [[T::Vector<S>; VECTORS]; ROWS] {
        let mut sums = [[T::splat(simd, T::zero()); VECTORS]; ROWS];
        let (channels, (_, columns, out)) = (self.plan.source.2, self.plan.out);
        let line = self.source.columns * channels;
        let first = self.source.first + row / self.run * line + row % self.run;
        let step = self.advance.1 * channels;
        for (i, dout) in self.dout.chunks_exact(columns * out).enumerate() {
            let mut at = first + i * self.advance.0 * line;
            for dout in dout.chunks_exact(out) {
                let a = chunk::<T, ROWS>(&self.source.values[at..]);
                let b = load(dout);
                for row in 0..ROWS {
                    let a = T::splat(simd, a[row]);
                    for j in 0..VECTORS {
                        sums[row][j] = T::multiply_add(simd, a, b[j], sums[row][j]);
                    }
                }
                at += step;
            }
        }
        sums
    }
}
