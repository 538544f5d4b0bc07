//! Vector code without compiler flags: the same plain loop is compiled for SSE2, AVX2 and AVX-512
//! (or NEON), and the widest that this processor has runs.

use pulp::Arch;
use std::sync::LazyLock;

static ARCH: LazyLock<Arch> = LazyLock::new(Arch::new);

/// Runs `f`, a loop that the compiler can vectorise, with this processor's widest vectors.
///
/// Nothing is fused or reordered: the bits are those of the plain loop on every processor.
#[inline(always)]
pub(crate) fn vectorize<R>(f: impl FnOnce() -> R) -> R {
    ARCH.dispatch(f)
}
