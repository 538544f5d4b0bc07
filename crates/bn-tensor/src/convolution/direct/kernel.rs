//! The innermost loops of a convolution to outputs or to images.

use super::{
    geometry::{Class, Plan},
    source::Source,
};
use crate::{
    matmul::gemm::pack::{panel_rows, panel_unit},
    scalar::Scalar,
    simd::{PerType, with_registers},
};
use pulp::{Simd, WithSimd};
use std::{array::from_fn, ops::Range};

pub(super) enum Convolve {}

impl<'a> PerType<'a> for Convolve {
    type Input<T: 'a> = Strip<'a, T>;
    type Output<T: 'a> = ();
    fn run_f32(strip: Strip<'a, f32>) {
        with_registers(strip)
    }
    fn run_f64(strip: Strip<'a, f64>) {
        with_registers(strip)
    }
}

/// A strip of outputs.
pub(super) struct Strip<'a, T> {
    pub(super) plan: &'a Plan,
    pub(super) rows: Range<usize>,
    pub(super) source: Source<'a, T>,
    pub(super) packed: &'a [T],
    pub(super) bias: Option<&'a [T]>,
    pub(super) y: &'a mut [T], // (rows, columns, channels)
}

impl<T: Scalar> WithSimd for Strip<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // Nothing below is compiled for a processor that never runs it.
        assert!(!S::IS_SCALAR, "the caller has checked `has_registers`");
        let width = 2 * T::lanes::<S>();
        let (channels, columns) = (self.plan.source.2, self.plan.out.2);
        let mut packed = self.packed;
        for classes in self.plan.classes() {
            let depth = classes[0].taps * classes[1].taps * channels;
            for j in (0..columns).step_by(width) {
                let (panel, rest) = packed.split_at(depth * width);
                packed = rest;
                self.panel::<S>(simd, classes, panel, j..columns.min(j + width));
            }
        }
    }
}

impl<T: Scalar> Strip<'_, T> {
    /// The channels `columns` of the strip's outputs of a class.
    #[inline(always)]
    fn panel<S: Simd>(&mut self, simd: S, classes: [Class; 2], panel: &[T], columns: Range<usize>) {
        let mut places = Places::new(self, classes);
        let unit = panel_unit::<S>();
        while places.left > 0 {
            let rows = panel_rows(places.left, unit);
            if const { panel_unit::<S>() == 4 } {
                match rows {
                    12 => self.tile::<S, 12>(simd, &mut places, panel, columns.clone()),
                    8 => self.tile::<S, 8>(simd, &mut places, panel, columns.clone()),
                    _ => self.tile::<S, 4>(simd, &mut places, panel, columns.clone()),
                }
            } else {
                match rows {
                    6 => self.tile::<S, 6>(simd, &mut places, panel, columns.clone()),
                    4 => self.tile::<S, 4>(simd, &mut places, panel, columns.clone()),
                    _ => self.tile::<S, 2>(simd, &mut places, panel, columns.clone()),
                }
            }
        }
    }

    /// The next `ROWS` outputs.
    #[inline(always)]
    fn tile<S: Simd, const ROWS: usize>(
        &mut self,
        simd: S,
        places: &mut Places,
        panel: &[T],
        columns: Range<usize>,
    ) {
        let count = places.left.min(ROWS);
        let places: [Place; ROWS] = from_fn(|_| places.next());
        if columns.len() > T::lanes::<S>() {
            self.vectors::<S, ROWS, 2>(simd, &places, count, panel, columns);
        } else {
            self.vectors::<S, ROWS, 1>(simd, &places, count, panel, columns);
        }
    }

    /// The outputs at the first `count` places.
    #[inline(always)]
    fn vectors<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        places: &[Place; ROWS],
        count: usize,
        panel: &[T],
        columns: Range<usize>,
    ) {
        let sums = self.product::<S, ROWS, VECTORS>(simd, places, panel);
        let lanes = T::lanes::<S>();
        let mut bias = [T::splat(simd, T::zero()); VECTORS];
        if let Some(row) = self.bias {
            let row = row[columns.clone()].chunks(lanes);
            bias.iter_mut()
                .zip(row)
                .for_each(|(vector, row)| *vector = T::load(simd, row));
        }
        for (place, sums) in places[..count].iter().zip(sums) {
            let y = &mut self.y[place.to + columns.start..place.to + columns.end];
            if y.len() == VECTORS * lanes
                && let Ok(y) = <&mut [T::Vector<S>; VECTORS]>::try_from(T::vectors_mut::<S>(y))
            {
                *y = from_fn(|j| T::plus(simd, sums[j], bias[j]));
                continue;
            }
            for (j, y) in y.chunks_mut(lanes).enumerate() {
                T::store(simd, y, T::plus(simd, sums[j], bias[j]));
            }
        }
    }

    /// `Σ source·w` at some places, over rows of the kernel and the values under each.
    #[inline(always)]
    fn product<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        places: &[Place; ROWS],
        panel: &[T],
    ) -> [[T::Vector<S>; VECTORS]; ROWS] {
        let mut sums = [[T::splat(simd, T::zero()); VECTORS]; ROWS];
        let line = self.source.columns * self.plan.source.2;
        let (lines, run) = (places[0].lines, places[0].run);
        let mut panel = T::vectors::<S>(panel).as_chunks::<2>().0;
        for i in 0..lines {
            let a: [&[T]; ROWS] =
                from_fn(|row| &self.source.values[places[row].from + i * line..][..run]);
            let (b, rest) = panel.split_at(run);
            panel = rest;
            for k in 0..run {
                for row in 0..ROWS {
                    let a = T::splat(simd, a[row][k]);
                    for j in 0..VECTORS {
                        sums[row][j] = T::multiply_add(simd, a, b[k][j], sums[row][j]);
                    }
                }
            }
        }
        sums
    }
}

/// Where an output reads and is written.
#[derive(Debug, Clone, Copy)]
struct Place {
    from: usize, // of the source's values
    to: usize,   // of the strip's outputs
    lines: usize,
    run: usize, // values under a row of the kernel
}

/// The outputs of a class in a strip, row by row. After the last it is repeated.
struct Places {
    next: Place,
    column: usize,
    left: usize,
    columns: usize,
    across: [usize; 2], // from output to output: of the source, and of the outputs
    down: [usize; 2],   // from the last output of a row to the first of the next
}

impl Places {
    #[inline(always)]
    fn new<T>(strip: &Strip<'_, T>, [rows, columns]: [Class; 2]) -> Self {
        let (plan, source) = (strip.plan, &strip.source);
        let within = rows.within(&strip.rows);
        let (channels, line) = (plan.source.2, source.columns * plan.source.2);
        let (out, out_line) = (plan.out.2, plan.out.1 * plan.out.2);
        // Without taps nothing is read, and the place may lie outside the source.
        let row = rows.source + (within.start * rows.advance) as isize - source.origin.0;
        let column = columns.source - source.origin.1;
        let from = (row as usize).wrapping_mul(line);
        let from = from.wrapping_add((column as usize).wrapping_mul(channels));
        let row = (rows.first + within.start * rows.step).saturating_sub(strip.rows.start);
        let across = [columns.advance * channels, columns.step * out];
        let last = columns.count.saturating_sub(1);
        Self {
            next: Place {
                from,
                to: row * out_line + columns.first * out,
                lines: if columns.taps == 0 { 0 } else { rows.taps },
                run: columns.taps * channels,
            },
            column: 0,
            left: within.len() * columns.count,
            columns: columns.count,
            across,
            down: [
                (rows.advance * line).wrapping_sub(last * across[0]),
                (rows.step * out_line).wrapping_sub(last * across[1]),
            ],
        }
    }

    #[inline(always)]
    fn next(&mut self) -> Place {
        let place = self.next;
        if self.left > 1 {
            self.column += 1;
            let by = if self.column == self.columns {
                self.column = 0;
                self.down
            } else {
                self.across
            };
            self.next.from = place.from.wrapping_add(by[0]);
            self.next.to = place.to.wrapping_add(by[1]);
        }
        self.left = self.left.saturating_sub(1);
        place
    }
}
