//! The innermost loops: a tile of `c` in registers.

use super::pack::panel_unit;
use crate::simd::{Vectors, chunk};
use ndarray::ArrayViewMut2;
use pulp::Simd;
use std::ops::Range;

/// Columns of a narrow tile: a quarter of a vector of 16 elements, the longest.
const QUARTER: usize = 4;
/// The size of a vector in bytes from which a narrow tile is faster. Four columns leave too little of a
/// shorter vector empty.
const WIDE: usize = 64;

/// What the product is added to.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a, T> {
    /// The old values of `c` times this factor. With a factor of 0 they are not read.
    Scaled(T),
    /// This row, in each row of `c`.
    Row(&'a [T]),
}

/// A packed panel of `a` against a packed block of `b`.
pub(super) struct Strip<'a, T> {
    pub(super) a: &'a [T],            // (depth, rows)
    pub(super) b: &'a [T],            // panels (depth, two vectors)
    pub(super) columns: Range<usize>, // of c, those of the block of b
    pub(super) depth: usize,
    pub(super) start: Start<'a, T>,
}

impl<T: Vectors> Strip<'_, T> {
    /// Adds the products to the rows of `c`. The panel has `rows` rows, the last of which may be
    /// padding.
    #[inline(always)]
    pub(super) fn add_to<S: Simd>(&self, simd: S, rows: usize, c: ArrayViewMut2<'_, T>) {
        // Each instruction set has its own panels, so only those are compiled for it.
        if const { panel_unit::<S>() == 4 } {
            match rows {
                12 => self.tiles::<S, 12>(simd, c),
                8 => self.tiles::<S, 8>(simd, c),
                _ => self.tiles::<S, 4>(simd, c),
            }
        } else {
            match rows {
                6 => self.tiles::<S, 6>(simd, c),
                4 => self.tiles::<S, 4>(simd, c),
                _ => self.tiles::<S, 2>(simd, c),
            }
        }
    }

    #[inline(always)]
    fn tiles<S: Simd, const ROWS: usize>(&self, simd: S, c: ArrayViewMut2<'_, T>) {
        let mut lines = c.into_outer_iter_mut().filter_map(|row| row.into_slice());
        // Padding rows are empty, so nothing is written to them.
        let mut c: [&mut [T]; ROWS] = std::array::from_fn(|_| lines.next().unwrap_or_default());
        let (lanes, width) = (T::lanes::<S>(), 2 * T::lanes::<S>());
        let panels = self.b.chunks_exact(width * self.depth);
        for (b, j) in panels.zip(self.columns.clone().step_by(width)) {
            let end = self.columns.end.min(j + width);
            if end - j > lanes {
                self.tile::<S, ROWS, 2>(simd, b, j..end, &mut c);
            } else if end - j <= QUARTER && size_of::<T::Vector<S>>() >= WIDE {
                self.narrow_tile::<ROWS>(b, j..end, &mut c);
            } else {
                self.tile::<S, ROWS, 1>(simd, b, j..end, &mut c);
            }
        }
    }

    /// A tile of so few columns that most of a vector would be empty. Without it, the last 4 of 100
    /// columns would take as long as 16.
    #[inline(always)]
    fn narrow_tile<const ROWS: usize>(
        &self,
        b: &[T],
        columns: Range<usize>,
        c: &mut [&mut [T]; ROWS],
    ) {
        let mut sums = [[T::zero(); QUARTER]; ROWS];
        let panel = b.chunks_exact(b.len() / self.depth);
        for (a, b) in self.a.as_chunks::<ROWS>().0.iter().zip(panel) {
            let b: &[T; QUARTER] = chunk(b);
            for i in 0..ROWS {
                for j in 0..QUARTER {
                    sums[i][j] = a[i].mul_add(b[j], sums[i][j]);
                }
            }
        }
        for (c, sums) in c.iter_mut().zip(sums) {
            let Some(c) = c.get_mut(columns.clone()) else {
                return;
            };
            for (j, (c, sum)) in columns.clone().zip(c.iter_mut().zip(sums)) {
                *c = match self.start {
                    Start::Row(row) => sum + row[j],
                    Start::Scaled(beta) if beta == T::zero() => sum,
                    Start::Scaled(beta) => beta.mul_add(*c, sum),
                };
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        b: &[T],
        columns: Range<usize>,
        c: &mut [&mut [T]; ROWS],
    ) {
        let sums = product::<T, S, ROWS, VECTORS>(simd, self.a, b);
        match self.start {
            Start::Row(row) => {
                let row = row[columns.clone()].chunks(T::lanes::<S>());
                let mut vectors = [T::splat(simd, T::zero()); VECTORS];
                vectors
                    .iter_mut()
                    .zip(row)
                    .for_each(|(v, row)| *v = T::load(simd, row));
                write::<T, S, ROWS, VECTORS>(simd, sums, columns, c, |j, sum, _| {
                    T::plus(simd, sum, vectors[j])
                });
            }
            Start::Scaled(beta) if beta == T::zero() => {
                write::<T, S, ROWS, VECTORS>(simd, sums, columns, c, |_, sum, _| sum);
            }
            Start::Scaled(beta) => {
                let beta = T::splat(simd, beta);
                write::<T, S, ROWS, VECTORS>(simd, sums, columns, c, |_, sum, old| {
                    T::multiply_add(simd, beta, old, sum)
                });
            }
        }
    }
}

/// `c = f(index of the vector, sum, c)` for the columns of a tile. The last vector may be partly filled;
/// empty rows are padding.
#[inline(always)]
fn write<T: Vectors, S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    sums: [[T::Vector<S>; VECTORS]; ROWS],
    columns: Range<usize>,
    c: &mut [&mut [T]; ROWS],
    f: impl Fn(usize, T::Vector<S>, T::Vector<S>) -> T::Vector<S>,
) {
    let lanes = T::lanes::<S>();
    // Loops of known length write a whole tile from registers to `c`, without the stack in between.
    if columns.len() == VECTORS * lanes && !c[ROWS - 1].is_empty() {
        for i in 0..ROWS {
            let c = T::vectors_mut::<S>(&mut c[i][columns.clone()]);
            if let Ok(c) = <&mut [T::Vector<S>; VECTORS]>::try_from(c) {
                for j in 0..VECTORS {
                    c[j] = f(j, sums[i][j], c[j]);
                }
            }
        }
        return;
    }
    for (c, sums) in c.iter_mut().zip(sums) {
        let Some(c) = c.get_mut(columns.clone()) else {
            return;
        };
        for (j, (c, sum)) in c.chunks_mut(lanes).zip(sums).enumerate() {
            let old = T::load(simd, c);
            T::store(simd, c, f(j, sum, old));
        }
    }
}

/// `Σₖ a[k, i]·b[k, j]` for `a: (depth, ROWS)` and the first vectors of `b: (depth, two vectors)`.
#[inline(always)]
fn product<T: Vectors, S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    a: &[T],
    b: &[T],
) -> [[T::Vector<S>; VECTORS]; ROWS] {
    let mut sums = [[T::splat(simd, T::zero()); VECTORS]; ROWS];
    let (a, b) = (
        a.as_chunks::<ROWS>().0,
        T::vectors::<S>(b).as_chunks::<2>().0,
    );
    for (a, b) in a.iter().zip(b) {
        for i in 0..ROWS {
            let a = T::splat(simd, a[i]);
            for j in 0..VECTORS {
                sums[i][j] = T::multiply_add(simd, a, b[j], sums[i][j]);
            }
        }
    }
    sums
}
