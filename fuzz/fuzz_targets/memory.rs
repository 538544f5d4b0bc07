//! The memory of a reader, as a factor of its input.

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The memory that a reader may take for an input of n bytes: `factor * n + constant` bytes.
pub(crate) struct Bound {
    pub(crate) factor: usize,
    pub(crate) constant: usize,
}

impl Bound {
    /// Reads an input of `len` bytes, and panics if the reader took more memory at any time. A block that grows
    /// counts twice while it is copied.
    pub(crate) fn check<R>(&self, len: usize, read: impl FnOnce() -> R) -> R {
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let result = read();
        let peak = ALLOCATOR.peak_usage() - before;
        let most = self.factor * len + self.constant;
        assert!(
            peak <= most,
            "{peak} bytes of memory for {len} of input; at most {most} are allowed"
        );
        result
    }
}
