use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// The time that this rank has spent on communication, waiting for other ranks included.
#[derive(Debug, Default)]
pub(crate) struct Timer(AtomicU64); // nanoseconds

impl Timer {
    /// Runs `f`, which communicates.
    pub(crate) fn communication<R>(&self, f: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = f();
        let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanoseconds, Relaxed);
        result
    }

    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Relaxed))
    }
}
