use crate::error::Error;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// How long a rank waits for the others.
#[derive(Debug)]
pub(crate) struct Watchdog(AtomicU64); // milliseconds

impl Watchdog {
    pub(crate) fn new(limit: Duration) -> Self {
        let watchdog = Self(AtomicU64::new(0));
        watchdog.set(limit);
        watchdog
    }

    pub(crate) fn set(&self, limit: Duration) {
        let milliseconds = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        self.0.store(milliseconds.max(1), Relaxed);
    }

    pub(crate) fn limit(&self) -> Duration {
        Duration::from_millis(self.0.load(Relaxed))
    }

    /// The error of `rank`, if it has waited too long.
    pub(crate) fn check(&self, rank: usize, waits_since: Instant) -> Result<(), Error> {
        match waits_since.elapsed() > self.limit() {
            true => Err(Error::Watchdog {
                rank,
                seconds: self.limit().as_secs_f64(),
            }),
            false => Ok(()),
        }
    }
}
