//! Whether this process was forked from another one.
//!
//! This file has `unsafe` code because `pthread_atfork` is a C function. Asking the system for the number
//! of the process is safe, but takes up to a microsecond, and each computation needs the answer.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering};

static FORKS: AtomicUsize = AtomicUsize::new(0);

/// A number that is the same in one process, and another one in a process that was forked from it after
/// the first call.
pub(super) fn generation() -> usize {
    #[cfg(unix)]
    {
        use std::{ffi::c_int, sync::Once};

        type Handler = Option<extern "C" fn()>;
        unsafe extern "C" {
            fn pthread_atfork(before: Handler, in_parent: Handler, in_child: Handler) -> c_int;
        }
        extern "C" fn count() {
            FORKS.fetch_add(1, Ordering::Relaxed);
        }
        static REGISTER: Once = Once::new();
        // SAFETY: the handler only changes an atomic number, as a handler in the child may.
        REGISTER.call_once(|| unsafe {
            pthread_atfork(None, None, Some(count));
        });
    }
    FORKS.load(Ordering::Relaxed)
}
