//! Calls of OpenBLAS from several threads.
//!
//! This file has `unsafe` code because the settings of OpenBLAS are C functions.
#![allow(unsafe_code)]

use super::memory::{abort_without_memory, fits};
#[cfg(feature = "openblas-static")]
use openblas_src as _; // links the library
use std::{
    cell::Cell,
    ffi::{CStr, c_char, c_int, c_void},
    ptr::null_mut,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    thread::sleep,
    time::Duration,
};

unsafe extern "C" {
    fn openblas_get_parallel() -> c_int;
    fn openblas_get_num_threads() -> c_int;
    fn openblas_set_num_threads(threads: c_int);
    fn openblas_get_config() -> *const c_char;
    fn openblas_get_corename() -> *const c_char;
    fn blas_memory_alloc(unused: c_int) -> *mut c_void;
    fn blas_memory_free(buffer: *mut c_void);
}

/// How OpenBLAS was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Build {
    /// Without threads. It may have been built without locks, too, so only one thread at a time calls it.
    Sequential,
    /// With its own threads. Their number is one setting for all callers.
    Threads,
    /// With OpenMP. The number of threads is a setting of each thread that calls it.
    OpenMp,
}

static BUILD: LazyLock<Build> = LazyLock::new(|| {
    // SAFETY: the function returns a constant.
    match unsafe { openblas_get_parallel() } {
        0 => Build::Sequential,
        1 => Build::Threads,
        _ => Build::OpenMp,
    }
});

/// The threads that call OpenBLAS.
static CALLERS: Mutex<Callers> = Mutex::new(Callers { now: 0, most: 0 });

struct Callers {
    now: usize,
    most: usize, // at the same time so far; 0 before the first call
}

/// A thread that calls OpenBLAS.
struct Caller {
    is_inside: Cell<bool>, // of `call`
}

thread_local! {
    static CALLER: Caller = Caller::new();
}

/// OpenBLAS is built for at least 50 buffers, and its own threads have some of them.
const RESERVED: usize = 48;

/// Runs `f`, which calls OpenBLAS.
pub(super) fn call<R>(f: impl FnOnce() -> R) -> R {
    CALLER.with(|caller| match *BUILD {
        Build::Sequential if !caller.is_inside.get() => caller.call_exclusively(f),
        _ => f(),
    })
}

impl Caller {
    fn new() -> Self {
        let mut callers = lock(&CALLERS);
        if callers.most == 0 {
            wait_for_own_threads();
        }
        if callers.most == 0 || *BUILD == Build::OpenMp {
            // SAFETY: the function takes any number from 1 on.
            unsafe { openblas_set_num_threads(1) };
        }
        callers.now += 1;
        if callers.now > callers.most {
            callers.most = callers.now;
            reserve(callers.most.min(RESERVED));
        }
        Self {
            is_inside: Cell::new(false),
        }
    }

    fn call_exclusively<R>(&self, f: impl FnOnce() -> R) -> R {
        struct Leave<'a>(&'a Cell<bool>);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.set(false);
            }
        }
        static EXCLUSIVE: Mutex<()> = Mutex::new(());
        let _guard = lock(&EXCLUSIVE);
        self.is_inside.set(true);
        let _leave = Leave(&self.is_inside);
        f()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        lock(&CALLERS).now -= 1;
    }
}

/// OpenBLAS starts its threads when it is loaded, and each asks for a buffer until it gets one. A thread
/// that does not get one keeps the process from ending, so there must be enough for all of them.
fn wait_for_own_threads() {
    // SAFETY: the function returns a setting.
    let threads = unsafe { openblas_get_num_threads() };
    if !fits(usize::try_from(threads).unwrap_or(1).max(1)) {
        // Not enough if none of them has its buffer yet, which is a matter of milliseconds.
        sleep(Duration::from_millis(50));
    }
}

/// Lets OpenBLAS map so many buffers, which it keeps: the number of calls that need one at a time.
fn reserve(buffers: usize) {
    let mut reserved = [null_mut(); RESERVED];
    for buffer in &mut reserved[..buffers] {
        if !fits(1) {
            abort_without_memory();
        }
        // SAFETY: the function ignores its argument, and returns the address of a buffer.
        *buffer = unsafe { blas_memory_alloc(0) };
    }
    for buffer in &reserved[..buffers] {
        // SAFETY: the buffer is one of those above, and nothing uses it.
        unsafe { blas_memory_free(*buffer) };
    }
}

/// The version, and the kernel.
pub(super) fn name() -> String {
    // SAFETY: both return a pointer to a static, NUL-terminated string of the library.
    let (config, core) = unsafe {
        (
            CStr::from_ptr(openblas_get_config()),
            CStr::from_ptr(openblas_get_corename()),
        )
    };
    let config = config.to_string_lossy();
    let version = config.split_whitespace().take(2).collect::<Vec<_>>();
    format!("{} ({} kernel)", version.join(" "), core.to_string_lossy())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
