//! Stores that go past the caches, for results that no cache can hold.
//!
//! An ordinary store first reads the line that it writes to. Of an array that the caches cannot hold
//! every line comes from memory for nothing: on (8192, 4096) BatchNormalization's last passes, forward
//! and backward, moved 16 and 17 GB/s so, and 29 and 25 this way, where a copy has 27.
//!
//! Besides `blas.rs` the only file of the workspace with `unsafe` in it: Rust has these stores as
//! intrinsics on pointers alone, and no crate that is well kept wraps them.
#![allow(unsafe_code)]

use crate::{
    Scalar,
    reduce::strip_mut,
    simd::{NullaryFnOnce, vectorize},
};

/// Bytes of a result from which on it goes past the caches: the third-level cache of most machines
/// holds less, so that nobody finds it there later.
const FAR: usize = 1 << 25;
/// Rows that are written together, strip by strip: memory gives more when asked for several of its
/// pages in turn (1, 2, 4 and 8 rows of 4096 values came at 18, 24, 32 and 34 GB/s; with two inputs at
/// 19, 22, 25 and 19), and coefficients of columns are loaded once for all.
const ROWS: usize = 4;
/// Values that are computed at a time.
const STRIP: usize = 64;
/// Bytes of a cache line, which is to be written whole.
const LINE: usize = 64;

/// Whether a result, rows of `row` values, is worth it, and lies as it must, as a whole array of f32
/// does.
pub(crate) fn is_far<T>(y: &[T], row: usize) -> bool {
    cfg!(target_arch = "x86_64")
        && size_of_val(y) >= FAR
        && row.is_multiple_of(STRIP)
        && y.as_ptr().addr().is_multiple_of(4 * size_of::<T>())
}

/// Values of a piece of work: rows enough that waiting for the last stores does not matter.
pub(crate) fn piece(row: usize) -> usize {
    16 * ROWS * row
}

/// What is written: the values of a matrix. (Not a closure, which is not inlined above some size.)
pub(crate) trait Values {
    type T: Scalar;
    /// `W` of them from place `at` on, which is in column `j`.
    fn strip<const W: usize>(&self, at: usize, j: usize) -> [Self::T; W];
}

/// Writes whole rows of `y`, `row` values each, past the caches.
pub(crate) fn write_rows<V: Values>(y: &mut [V::T], row: usize, values: V) {
    vectorize(Rows { y, row, values });
}

struct Rows<'a, V: Values> {
    y: &'a mut [V::T],
    row: usize, // a multiple of STRIP
    values: V,
}

impl<V: Values> NullaryFnOnce for Rows<'_, V> {
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        // Strips begin with a cache line, so that the last one of a row may end in the next row.
        let head = self.y.as_ptr().align_offset(LINE) % STRIP;
        let (row, len) = (self.row, self.y.len());
        self.write_as_usual(0, head);
        for first in (0..len).step_by(ROWS * row) {
            let last = (first + ROWS * row).min(len);
            for j in (head..row + head).step_by(STRIP) {
                for at in (first + j..last).step_by(row) {
                    self.write_strip(at, j);
                }
            }
        }
        fence();
    }
}

impl<V: Values> Rows<'_, V> {
    #[inline(always)]
    fn write_strip(&mut self, at: usize, j: usize) {
        if j + STRIP <= self.row {
            let strip = self.values.strip(at, j);
            store(strip_mut(&mut self.y[at..]), strip);
        } else if at + STRIP <= self.y.len() {
            let mut strip = [V::T::default(); STRIP];
            for (k, four) in strip.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                *four = self.values.strip(at + 4 * k, (j + 4 * k) % self.row);
            }
            store(strip_mut(&mut self.y[at..]), strip);
        } else {
            self.write_as_usual(at, self.y.len());
        }
    }

    /// Some values of one row, a multiple of four.
    #[inline(always)]
    fn write_as_usual(&mut self, start: usize, end: usize) {
        for at in (start..end).step_by(4) {
            *strip_mut(&mut self.y[at..]) = self.values.strip::<4>(at, at % self.row);
        }
    }
}

/// `y = values`, past the caches; `y` begins with a cache line.
#[inline(always)]
fn store<T: Scalar>(y: &mut [T; STRIP], values: [T; STRIP]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};
        let to = y.as_mut_ptr().cast::<__m128i>();
        let from = values.as_ptr().cast::<__m128i>();
        assert!(to.is_aligned());
        for i in 0..size_of_val(y) / size_of::<__m128i>() {
            // SAFETY: both pointers are to `STRIP` plain numbers, in which `i` stays; the load takes
            // any alignment and the store's was seen to; SSE2 is part of x86-64.
            unsafe { _mm_stream_si128(to.add(i), _mm_loadu_si128(from.add(i))) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        *y = values;
    }
}

/// Makes this thread's stores visible to the others before anything that it does next.
fn fence() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction touches no memory; SSE is part of x86-64.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place of each value, of rows of so many.
    struct Places(usize);

    impl Values for Places {
        type T = f32;
        fn strip<const W: usize>(&self, at: usize, j: usize) -> [f32; W] {
            assert_eq!(at % self.0, j);
            assert!(j + W <= self.0);
            std::array::from_fn(|k| (at + k) as f32)
        }
    }

    /// Each value once, wherever the first line begins and however wide a row is.
    #[test]
    fn rows_are_written_whole() {
        for (rows, row) in [(1, 64), (3, 128), (4, 128), (9, 192), (5, 1024)] {
            let mut memory = vec![-1.0f32; rows * row + 40];
            for offset in 0..32 {
                memory.fill(-1.0);
                let y = &mut memory[offset..offset + rows * row];
                if !y.as_ptr().cast::<u128>().is_aligned() {
                    continue;
                }
                write_rows(y, row, Places(row));
                assert!(y.iter().enumerate().all(|(at, &y)| y == at as f32));
                let (before, after) = (&memory[..offset], &memory[offset + rows * row..]);
                assert!(before.iter().chain(after).all(|&v| v == -1.0));
            }
        }
    }

    #[test]
    fn only_what_no_cache_holds_goes_past_them() {
        assert!(!is_far(&[0.0f32; 4096], 64));
        let y = vec![0.0f32; FAR / 4];
        assert_eq!(is_far(&y, 4096), cfg!(target_arch = "x86_64"));
        assert!(!is_far(&y, 100) && !is_far(&y[1..], 64));
    }
}
