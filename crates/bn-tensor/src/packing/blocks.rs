//! The sizes of the blocks that a product is computed in.

use std::ops::Range;

/// Bytes of a row of `a` in a block. A panel of 12 rows then takes 24 KiB of the 32 KiB or more of a
/// first-level cache. With half of this, a large product is 5 % slower, because `c` is read and written
/// twice as often; with two or four times as much, it is up to 10 % slower.
const BLOCK_K: usize = 2048;
/// Rows of a block of `a`: at most 4 MiB of the third-level cache, from which one panel at a time
/// moves to the first.
pub(crate) const BLOCK_M: usize = 2048;
/// Bytes of a row of `b` in a block. With `BLOCK_K`, a block of f32 takes half a MiB of the second-level
/// cache.
const BLOCK_N: usize = 1024;

/// Rows of a block of `b`.
pub(crate) fn block_depth<T>() -> usize {
    BLOCK_K / size_of::<T>()
}

/// Columns of a block of `b`.
pub(crate) fn block_columns<T>() -> usize {
    BLOCK_N / size_of::<T>()
}

/// Cuts `0..len` into blocks of nearly the same length: at most `most`, a multiple of `unit`.
pub(crate) fn blocks(len: usize, most: usize, unit: usize) -> impl Iterator<Item = Range<usize>> {
    let count = len.div_ceil(most).max(1);
    let block = len.div_ceil(count).next_multiple_of(unit);
    (0..len)
        .step_by(block.max(1))
        .map(move |start| start..(start + block).min(len))
}
