//! Vector code without compiler flags: the same plain loop is compiled for SSE2, AVX2 and AVX-512
//! (or NEON), and the widest version that this processor supports runs.
//!
//! Only what is inlined into [`vectorize`] is compiled that way. The compiler inlines a short
//! closure but not a long one, which then runs with SSE2 (measured: four times slower on
//! (1024, 1024)). So each long kernel is a type whose [`NullaryFnOnce::call`] is marked
//! `#[inline(always)]`, which a closure cannot be.

mod registers;
mod transpose;

pub(crate) use registers::{PerType, Vectors};

pub(crate) use pulp::NullaryFnOnce;
use pulp::{Arch, WithSimd};
use std::sync::LazyLock;

static ARCH: LazyLock<Arch> = LazyLock::new(Arch::new);

/// Runs `f`, a loop that the compiler can vectorise, with this processor's widest vectors.
///
/// No operation is fused or reordered: every processor computes the bits of the plain loop.
#[inline(always)]
pub(crate) fn vectorize<F: NullaryFnOnce>(f: F) -> F::Output {
    ARCH.dispatch(f)
}

/// Whether this processor has vector registers with a fused multiply-add that `pulp` knows.
pub(crate) fn has_registers() -> bool {
    !matches!(*ARCH, Arch::Scalar)
}

/// Runs `f`, which is written for registers of any length, with this processor's longest ones.
#[inline(always)]
pub(crate) fn with_registers<F: WithSimd>(f: F) -> F::Output {
    ARCH.dispatch(f)
}

/// The first `W` values of a slice that has at least as many.
#[inline(always)]
pub(crate) fn chunk<T, const W: usize>(values: &[T]) -> &[T; W] {
    values.first_chunk().expect("a chunk lies inside its row")
}

/// The first `W` values of a slice that has at least as many, mutable.
#[inline(always)]
pub(crate) fn chunk_mut<T, const W: usize>(values: &mut [T]) -> &mut [T; W] {
    values
        .first_chunk_mut()
        .expect("a chunk lies inside its row")
}
