//! Threads that sleep until something happens.

use std::sync::{
    Condvar, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering, fence},
};

/// Wakes threads that wait for a condition. It costs a fence and a read if none sleeps.
#[derive(Debug, Default)]
pub(super) struct Bell {
    sleepers: AtomicUsize,
    lock: Mutex<()>,
    condvar: Condvar,
}

impl Bell {
    /// Sleeps until `ready`. Whoever makes it true rings the bell afterwards.
    pub(super) fn sleep_until(&self, ready: impl Fn() -> bool) {
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        // Either `ready` sees the change, or `wake` sees the sleeper.
        fence(Ordering::SeqCst);
        while !ready() {
            let woken = self.condvar.wait(guard);
            guard = woken.unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Wakes one sleeper.
    pub(super) fn wake_one(&self) {
        self.wake(Condvar::notify_one);
    }

    /// Wakes all sleepers.
    pub(super) fn wake_all(&self) {
        self.wake(Condvar::notify_all);
    }

    fn wake(&self, notify: impl FnOnce(&Condvar)) {
        fence(Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            // A sleeper holds the lock from its last look at the condition until it waits.
            drop(self.lock.lock());
            notify(&self.condvar);
        }
    }
}
