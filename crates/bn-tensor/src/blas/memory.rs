//! Whether there is memory for OpenBLAS. It asks the system for a buffer again and again if there is none.

/// Bytes of a buffer of OpenBLAS: on x86-64, 128 MiB of addresses, of which a call uses a few.
const BUFFER_BYTES: usize = 1 << 27;

/// Whether the system has addresses for so many buffers.
pub(super) fn fits(buffers: usize) -> bool {
    let mut trial: Vec<u8> = Vec::new();
    let result = trial.try_reserve_exact(buffers.saturating_mul(BUFFER_BYTES));
    // Otherwise the compiler removes the allocation, which is not used.
    std::hint::black_box(&mut trial);
    result.is_ok()
}

/// An error could not be returned instead: a thread of OpenBLAS that waits for memory would keep the
/// process from ending.
pub(super) fn abort_without_memory() -> ! {
    eprintln!(
        "bn-tensor: out of memory. OpenBLAS needs {} MiB of address space for each thread that calls it, and \
         for each thread of its own. Allow more (`ulimit -v`), use fewer threads (`RAYON_NUM_THREADS`), set \
         OPENBLAS_NUM_THREADS=1, or build without the feature `openblas`.",
        BUFFER_BYTES >> 20
    );
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn what_does_not_fit_is_known() {
        assert!(fits(1));
        assert!(!fits(usize::MAX));
    }
}
