//! Thread-local values that are set while a closure runs.

use std::{cell::RefCell, thread::LocalKey};

/// Runs `f` while `local` has this value, and restores it, also if `f` panics.
pub(super) fn with_value<T: 'static, R>(
    local: &'static LocalKey<RefCell<T>>,
    value: T,
    f: impl FnOnce() -> R,
) -> R {
    struct Restore<T: 'static>(&'static LocalKey<RefCell<T>>, Option<T>);
    impl<T> Drop for Restore<T> {
        fn drop(&mut self) {
            if let Some(before) = self.1.take() {
                self.0.replace(before);
            }
        }
    }
    let _restore = Restore(local, Some(local.replace(value)));
    f()
}
