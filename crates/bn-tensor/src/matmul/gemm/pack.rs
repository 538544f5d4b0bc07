//! Packing: copies a block of a matrix into panels, which the micro-kernel reads in order.

use crate::{packing::aligned, scalar::Scalar};
use ndarray::{ArrayView2, Axis, Slice};
use pulp::Simd;
use std::{array::from_fn, ops::Range};

/// Panels have one, two or three units of rows. Twelve rows of two vectors fill 24 of 32 registers, six
/// rows 12 of 16.
pub(crate) const fn panel_unit<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// The rows of the next panel if `left` rows remain: three units while there are enough, then one or
/// two panels of fewer. (A panel of a single unit uses half of the processor's throughput.)
#[inline(always)]
pub(crate) fn panel_rows(left: usize, unit: usize) -> usize {
    match left.div_ceil(unit) {
        4 => 2 * unit,
        units => units.min(3) * unit,
    }
}

/// Packs columns `js` of rows `ks` of `b` into panels of `width` columns, at the buffer's first cache
/// line.
#[inline(always)]
pub(super) fn pack_columns<'a, T: Scalar>(
    b: ArrayView2<'_, T>,
    ks: Range<usize>,
    js: Range<usize>,
    width: usize,
    buffer: &'a mut [T],
) -> &'a [T] {
    let packed = aligned(buffer, js.len().next_multiple_of(width) * ks.len());
    pack_columns_into(b, ks, js, width, packed);
    packed
}

/// [`pack_columns`] into `packed`, which has the exact length.
#[inline(always)]
pub(super) fn pack_columns_into<T: Scalar>(
    b: ArrayView2<'_, T>,
    ks: Range<usize>,
    js: Range<usize>,
    width: usize,
    packed: &mut [T],
) {
    let block = b
        .slice_axis_move(Axis(0), Slice::from(ks))
        .slice_axis_move(Axis(1), Slice::from(js));
    let columns = block.reversed_axes();
    match width {
        32 => pack::<T, 32>(columns, packed),
        16 => pack::<T, 16>(columns, packed),
        8 => pack::<T, 8>(columns, packed),
        4 => pack::<T, 4>(columns, packed),
        _ => pack::<T, 2>(columns, packed),
    }
}

/// Panels of `WIDTH` lines: `panel[k, i] = lines[i, k]`, and 0 beyond the last line.
#[inline(always)]
pub(super) fn pack<T: Scalar, const WIDTH: usize>(lines: ArrayView2<'_, T>, packed: &mut [T]) {
    let (count, depth) = lines.dim();
    if count % WIDTH != 0 {
        let last = packed.len() - WIDTH * depth;
        packed[last..].fill(T::zero());
    }
    // Panels that are written together: enough to read whole cache lines, few enough for the caches.
    const PANELS: usize = 4;
    let lines = lines.axis_chunks_iter(Axis(0), PANELS * WIDTH);
    for (lines, panels) in lines.zip(packed.chunks_mut(PANELS * WIDTH * depth)) {
        if lines.stride_of(Axis(1)) == 1 {
            let panels = panels.chunks_mut(WIDTH * depth);
            for (lines, panel) in lines.axis_chunks_iter(Axis(0), WIDTH).zip(panels) {
                // Few enough `k` at a time that the block, which is written several times, stays in cache.
                const DEPTH: usize = 64;
                let blocks = panel.chunks_mut(DEPTH * WIDTH);
                for (lines, block) in lines.axis_chunks_iter(Axis(1), DEPTH).zip(blocks) {
                    let mut lines = lines.outer_iter().filter_map(|line| line.to_slice());
                    transpose::<T, WIDTH>(from_fn(|_| lines.next().unwrap_or_default()), block);
                }
            }
        } else if lines.stride_of(Axis(0)) == 1 {
            // For each `k` the values of all lines are contiguous.
            for (k, values) in lines.axis_iter(Axis(1)).enumerate() {
                let (whole, rest) = values.to_slice().unwrap_or_default().as_chunks::<WIDTH>();
                let mut at = k * WIDTH;
                for values in whole {
                    panels[at..at + WIDTH].copy_from_slice(values);
                    at += WIDTH * depth;
                }
                if !rest.is_empty() {
                    panels[at..at + rest.len()].copy_from_slice(rest);
                }
            }
        } else {
            for ((i, k), &v) in lines.indexed_iter() {
                panels[(i / WIDTH * depth + k) * WIDTH + i % WIDTH] = v;
            }
        }
    }
}

/// `panel[k, i] = lines[i, k]`, in blocks of four by four; the lines of the padding are empty.
#[inline(always)]
pub(super) fn transpose<T: Scalar, const WIDTH: usize>(lines: [&[T]; WIDTH], panel: &mut [T]) {
    let panel = panel.as_chunks_mut::<WIDTH>().0;
    for i in (0..WIDTH).step_by(4) {
        let group: [&[T]; 4] = from_fn(|j| lines.get(i + j).copied().unwrap_or_default());
        let [(a, rest), (b, _), (c, _), (d, _)] = group.map(|line| line.as_chunks::<4>());
        let (blocks, last) = panel.as_chunks_mut::<4>();
        if group[3].len() == group[0].len() {
            for ((((a, b), c), d), p) in a.iter().zip(b).zip(c).zip(d).zip(blocks) {
                for (p, values) in p.iter_mut().zip(T::transpose([*a, *b, *c, *d])) {
                    p[i..i + 4].copy_from_slice(&values);
                }
            }
            let done = a.len() * 4;
            for k in 0..rest.len() {
                last[k][i..i + 4].copy_from_slice(&group.map(|line| line[done + k]));
            }
        } else {
            // The last lines, fewer than four.
            for (i, line) in (i..).zip(group) {
                for (p, &v) in panel.iter_mut().zip(line) {
                    p[i] = v;
                }
            }
        }
    }
}
