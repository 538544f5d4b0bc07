//! The right-hand side of a product: a matrix, or one that was packed earlier, for several products.

use super::pack::{pack_columns, pack_columns_into};
use crate::{
    packing::{aligned, block_columns, block_depth, blocks, with_alignment},
    scalar::Scalar,
    simd::{PerType, with_registers},
};
use ndarray::{ArrayView2, Axis};
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// `b` in `c = a·b`.
#[derive(Clone, Copy)]
pub(crate) enum RightHandSide<'a, T> {
    Matrix(ArrayView2<'a, T>), // (K, N)
    Packed(PackedMatrix<'a, T>),
}

/// All blocks of a matrix `(K, N)`, packed.
///
/// A convolution multiplies many blocks of patches by the same weights. Packing the weights for each
/// block, on each thread, took as long as packing half of the patches.
#[derive(Clone, Copy)]
pub(crate) struct PackedMatrix<'a, T> {
    values: &'a [T],
    dim: (usize, usize),
}

impl<'a, T: Scalar> RightHandSide<'a, T> {
    /// `(K, N)`.
    pub(crate) fn dim(&self) -> (usize, usize) {
        match self {
            Self::Matrix(b) => b.dim(),
            Self::Packed(b) => b.dim,
        }
    }

    /// The same right-hand side, for a shorter lifetime.
    pub(crate) fn reborrow(&self) -> RightHandSide<'_, T> {
        match self {
            Self::Matrix(b) => RightHandSide::Matrix(b.view()),
            Self::Packed(b) => RightHandSide::Packed(*b),
        }
    }

    /// The columns before and after column `at`. A packed matrix is not cut: both parts are all of it.
    pub(crate) fn split_at(self, at: usize) -> (Self, Self) {
        let Self::Matrix(b) = self else {
            return (self, self);
        };
        let (b0, b1) = b.split_at(Axis(1), at);
        (Self::Matrix(b0), Self::Matrix(b1))
    }

    /// Rows `ks` of columns `js`, packed. They are packed into the buffer unless they are already packed.
    #[inline(always)]
    pub(super) fn pack_block<'b>(
        &'b self,
        ks: Range<usize>,
        js: Range<usize>,
        width: usize,
        buffer: &'b mut [T],
    ) -> &'b [T] {
        match self {
            Self::Matrix(b) => pack_columns(*b, ks, js, width, buffer),
            Self::Packed(b) => {
                let start = ks.start * b.dim.1.next_multiple_of(width) + js.start * ks.len();
                &b.values[start..start + ks.len() * js.len().next_multiple_of(width)]
            }
        }
    }
}

/// Packs `b: (K, N)` for several products, into a buffer of [`packed_len`] values.
pub(crate) fn pack_all<'a, T: Scalar>(
    b: ArrayView2<'a, T>,
    buffer: &'a mut [T],
) -> PackedMatrix<'a, T> {
    T::run::<Pack>(PackAll { b, buffer })
}

/// The length of the buffer that [`pack_all`] needs, whatever the registers.
pub(crate) fn packed_len<T>(k: usize, n: usize) -> usize {
    with_alignment::<T>(k.saturating_mul(n.next_multiple_of(32)))
}

enum Pack {}

impl<'a> PerType<'a> for Pack {
    type Input<T: 'a> = PackAll<'a, T>;
    type Output<T: 'a> = PackedMatrix<'a, T>;
    fn run_f32(input: PackAll<'a, f32>) -> PackedMatrix<'a, f32> {
        with_registers(input)
    }
    fn run_f64(input: PackAll<'a, f64>) -> PackedMatrix<'a, f64> {
        with_registers(input)
    }
}

struct PackAll<'a, T> {
    b: ArrayView2<'a, T>,
    buffer: &'a mut [T],
}

impl<'a, T: Scalar> WithSimd for PackAll<'a, T> {
    type Output = PackedMatrix<'a, T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> PackedMatrix<'a, T> {
        assert!(!S::IS_SCALAR, "the caller has checked `has_registers`");
        let Self { b, buffer } = self;
        let ((k, n), width) = (b.dim(), 2 * T::lanes::<S>());
        let values = aligned(buffer, k * n.next_multiple_of(width));
        let mut at = 0;
        for ks in blocks(k, block_depth::<T>(), 8) {
            for js in blocks(n, block_columns::<T>(), width) {
                let len = ks.len() * js.len().next_multiple_of(width);
                pack_columns_into(b, ks.clone(), js, width, &mut values[at..at + len]);
                at += len;
            }
        }
        let dim = (k, n);
        PackedMatrix { values, dim }
    }
}
