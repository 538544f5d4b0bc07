//! Stores that bypass the caches, for results larger than the caches.
//!
//! An ordinary store first reads the cache line that it writes to. For an array larger than the caches,
//! every line is read from memory in vain: on (8192, 4096), BatchNormalization's last passes forward
//! and backward moved 16 and 17 GB/s with ordinary stores, and 29 and 25 with these; a copy reaches 27.
//!
//! This file has `unsafe` code because Rust offers these stores only as intrinsics on pointers, and no
//! well-kept crate wraps them.
#![allow(unsafe_code)]

use crate::{
    scalar::Scalar,
    simd::{NullaryFnOnce, chunk_mut, vectorize},
};

/// The least bytes of a result that bypasses the caches: the third-level cache of most machines is
/// smaller, so that the result would not stay in it anyway.
const BYPASS_BYTES: usize = 1 << 25;
/// Rows that are written together, strip by strip. Memory is faster if several of its pages are accessed
/// in turn (1, 2, 4 and 8 rows of 4096 values: 18, 24, 32 and 34 GB/s; with two inputs 19, 22, 25 and
/// 19), and the coefficients of the columns are loaded once for all rows.
const ROWS: usize = 4;
/// Values of a strip.
const STRIP: usize = 64;
/// Bytes of a cache line, which should be written at once.
const LINE: usize = 64;

/// Whether `y`, in rows of `row` values, is large enough to bypass the caches, and aligned for these
/// stores, as an allocated array is.
pub(super) fn bypasses_caches<T>(y: &[T], row: usize) -> bool {
    cfg!(target_arch = "x86_64")
        && size_of_val(y) >= BYPASS_BYTES
        && row.is_multiple_of(STRIP)
        && y.as_ptr().addr().is_multiple_of(4 * size_of::<T>())
}

/// Values of a piece of work: enough rows that waiting for the last stores does not matter.
pub(super) fn piece_len(row: usize) -> usize {
    16 * ROWS * row
}

/// The values of the matrix to write. (A trait, because the compiler does not inline a long closure.)
pub(super) trait Values {
    type T: Scalar;
    /// `W` values from position `at` on, which is in column `j`.
    fn strip<const W: usize>(&self, at: usize, j: usize) -> [Self::T; W];
}

/// Writes whole rows of `y`, of `row` values each, bypassing the caches.
pub(super) fn write_rows<V: Values>(y: &mut [V::T], row: usize, values: V) {
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
        let _fence = Fence;
        // A strip starts at a cache line, so the last one of a row may end in the next row.
        let head = self.y.as_ptr().align_offset(LINE) % STRIP;
        let (row, len) = (self.row, self.y.len());
        self.write_through_cache(0, head);
        for first in (0..len).step_by(ROWS * row) {
            let last = (first + ROWS * row).min(len);
            for j in (head..row + head).step_by(STRIP) {
                for at in (first + j..last).step_by(row) {
                    self.write_strip(at, j);
                }
            }
        }
    }
}

impl<V: Values> Rows<'_, V> {
    #[inline(always)]
    fn write_strip(&mut self, at: usize, j: usize) {
        if j + STRIP <= self.row {
            let strip = self.values.strip(at, j);
            store(chunk_mut(&mut self.y[at..]), strip);
        } else if at + STRIP <= self.y.len() {
            let mut strip = [V::T::default(); STRIP];
            for (k, four) in strip.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                *four = self.values.strip(at + 4 * k, (j + 4 * k) % self.row);
            }
            store(chunk_mut(&mut self.y[at..]), strip);
        } else {
            self.write_through_cache(at, self.y.len());
        }
    }

    /// Writes a multiple of four values of one row with ordinary stores.
    #[inline(always)]
    fn write_through_cache(&mut self, start: usize, end: usize) {
        for at in (start..end).step_by(4) {
            *chunk_mut(&mut self.y[at..]) = self.values.strip::<4>(at, at % self.row);
        }
    }
}

/// `y = values`, bypassing the caches; `y` starts at a cache line.
#[inline(always)]
fn store<T: Scalar>(y: &mut [T; STRIP], values: [T; STRIP]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};
        let to = y.as_mut_ptr().cast::<__m128i>();
        let from = values.as_ptr().cast::<__m128i>();
        assert!(to.is_aligned());
        for i in 0..size_of_val(y) / size_of::<__m128i>() {
            // SAFETY: both pointers are to `STRIP` plain numbers, and `i` stays within them; the load
            // takes any alignment and that of the store was checked; SSE2 is part of x86-64.
            unsafe { _mm_stream_si128(to.add(i), _mm_loadu_si128(from.add(i))) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        *y = values;
    }
}

/// When it is dropped, also by a panic, the stores of this thread become visible to other threads before
/// its later ones.
struct Fence;

impl Drop for Fence {
    fn drop(&mut self) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the instruction touches no memory; SSE is part of x86-64.
        unsafe {
            std::arch::x86_64::_mm_sfence();
        }
        #[cfg(test)]
        tests::FENCES.set(tests::FENCES.get() + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::Cell, panic::catch_unwind};

    thread_local! {
        /// Fences of this thread so far.
        pub(super) static FENCES: Cell<usize> = const { Cell::new(0) };
    }

    /// Panics in the second row.
    struct Panics;

    impl Values for Panics {
        type T = f32;
        fn strip<const W: usize>(&self, at: usize, _: usize) -> [f32; W] {
            assert!(at < 64, "on purpose");
            [0.0; W]
        }
    }

    #[test]
    fn a_fence_follows_the_stores_also_after_a_panic() {
        let panicked = catch_unwind(|| write_rows(&mut vec![0.0; 192], 64, Panics));
        assert!(panicked.is_err());
        assert_eq!(FENCES.get(), 1);
        write_rows(&mut vec![0.0; 192], 64, Positions(64));
        assert_eq!(FENCES.get(), 2);
    }

    /// Each value is its position, in rows of this length.
    struct Positions(usize);

    impl Values for Positions {
        type T = f32;
        fn strip<const W: usize>(&self, at: usize, j: usize) -> [f32; W] {
            assert_eq!(at % self.0, j);
            assert!(j + W <= self.0);
            std::array::from_fn(|k| (at + k) as f32)
        }
    }

    /// Writes each value once, for any alignment and row length.
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
                write_rows(y, row, Positions(row));
                assert!(y.iter().enumerate().all(|(at, &y)| y == at as f32));
                let (before, after) = (&memory[..offset], &memory[offset + rows * row..]);
                assert!(before.iter().chain(after).all(|&v| v == -1.0));
            }
        }
    }

    #[test]
    fn only_large_results_bypass_the_caches() {
        assert!(!bypasses_caches(&[0.0f32; 4096], 64));
        let y = vec![0.0f32; BYPASS_BYTES / 4];
        assert_eq!(bypasses_caches(&y, 4096), cfg!(target_arch = "x86_64"));
        assert!(!bypasses_caches(&y, 100) && !bypasses_caches(&y[1..], 64));
    }
}
