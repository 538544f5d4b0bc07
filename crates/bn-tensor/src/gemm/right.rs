//! The right factor of a product: a matrix, or one that was packed before for several products.

use super::{block_columns, block_depth, blocks, pack};
use crate::Scalar;
use ndarray::{ArrayView2, Axis};
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// What stands at `b` in `c = a·b`.
#[derive(Clone, Copy)]
pub enum Right<'a, T> {
    Matrix(ArrayView2<'a, T>), // (K, N)
    Packed(PackedRight<'a, T>),
}

/// All blocks of a matrix `(K, N)`, packed.
///
/// A convolution multiplies block after block of patches by the same weights; packing them each time,
/// and on each thread, took as long as packing half of the patches.
#[derive(Clone, Copy)]
pub struct PackedRight<'a, T> {
    values: &'a [T],
    dim: (usize, usize),
}

impl<'a, T: Scalar> Right<'a, T> {
    /// `(K, N)`.
    pub(crate) fn dim(&self) -> (usize, usize) {
        match self {
            Self::Matrix(b) => b.dim(),
            Self::Packed(b) => b.dim,
        }
    }

    /// The same for a shorter time.
    pub(crate) fn reborrow(&self) -> Right<'_, T> {
        match self {
            Self::Matrix(b) => Right::Matrix(b.view()),
            Self::Packed(b) => Right::Packed(*b),
        }
    }

    /// The columns before and after column `at`. A packed matrix is not cut: both are all of it.
    pub(crate) fn split_at(self, at: usize) -> (Self, Self) {
        let Self::Matrix(b) = self else {
            return (self, self);
        };
        let (b0, b1) = b.split_at(Axis(1), at);
        (Self::Matrix(b0), Self::Matrix(b1))
    }

    /// A block of it, packed: into the buffer, unless it was before.
    #[inline(always)]
    pub(super) fn pack<'b>(
        &'b self,
        ks: Range<usize>,
        js: Range<usize>,
        width: usize,
        buffer: &'b mut [T],
    ) -> &'b [T] {
        match self {
            Self::Matrix(b) => pack::pack_columns(*b, ks, js, width, buffer),
            Self::Packed(b) => {
                let start = ks.start * b.dim.1.next_multiple_of(width) + js.start * ks.len();
                &b.values[start..start + ks.len() * js.len().next_multiple_of(width)]
            }
        }
    }
}

/// The values that [`PackAll`] needs for a matrix `(K, N)`, whatever the registers.
pub(super) fn packed_len<T>(k: usize, n: usize) -> usize {
    pack::with_alignment::<T>(k * n.next_multiple_of(32))
}

pub(super) struct PackAll<'a, 'b, T> {
    pub(super) b: ArrayView2<'a, T>,
    pub(super) buffer: &'b mut [T],
}

impl<'b, T: Scalar> WithSimd for PackAll<'_, 'b, T> {
    type Output = PackedRight<'b, T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> PackedRight<'b, T> {
        let Self { b, buffer } = self;
        let ((k, n), width) = (b.dim(), 2 * T::lanes::<S>());
        let values = pack::aligned(buffer, k * n.next_multiple_of(width));
        let mut at = 0;
        for ks in blocks(k, block_depth::<T>(), 8) {
            for js in blocks(n, block_columns::<T>(), width) {
                let len = ks.len() * js.len().next_multiple_of(width);
                pack::pack_block(b, ks.clone(), js, width, &mut values[at..at + len]);
                at += len;
            }
        }
        let dim = (k, n);
        PackedRight { values, dim }
    }
}
