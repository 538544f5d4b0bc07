//! Vector code without compiler flags: the same plain loop is compiled for SSE2, AVX2 and AVX-512
//! (or NEON), and the widest that this processor has runs.
//!
//! A loop is compiled so only where it is inlined. A short closure is, a long one is not, and then
//! runs at SSE2: (1024, 1024) was measured four times slower. So each long kernel is a type whose
//! [`NullaryFnOnce::call`] is marked `#[inline(always)]`, which a closure cannot be.

pub(crate) use pulp::NullaryFnOnce;
use pulp::{Arch, WithSimd};
use std::sync::LazyLock;

static ARCH: LazyLock<Arch> = LazyLock::new(Arch::new);

/// Runs `f`, a loop that the compiler can vectorise, with this processor's widest vectors.
///
/// Nothing is fused or reordered: the bits are those of the plain loop on every processor.
#[inline(always)]
pub(crate) fn vectorize<F: NullaryFnOnce>(f: F) -> F::Output {
    ARCH.dispatch(f)
}

/// Whether this processor has vector registers with a fused multiply-add that `pulp` knows.
pub(crate) fn has_registers() -> bool {
    !matches!(*ARCH, Arch::Scalar)
}

/// Runs `f`, which is written for registers of any length, with the longest of this processor.
#[inline(always)]
pub(crate) fn with_registers<F: WithSimd>(f: F) -> F::Output {
    ARCH.dispatch(f)
}
