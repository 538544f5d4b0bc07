//! Threads that poll for work instead of sleeping.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::available_parallelism,
    time::{Duration, Instant},
};

/// A helper that found no work for this long returns, and its thread goes to sleep. The limit also
/// prevents a deadlock: a helper may have started on top of a stack whose lower part is work that the
/// computation waits for.
const IDLE: Duration = Duration::from_micros(200);

/// Runs `f` on this thread, number `owner` of `threads`, while the others poll for work.
pub(super) fn keep<R: Send>(threads: usize, owner: usize, f: impl FnOnce() -> R + Send) -> R {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    let processors = PROCESSORS.get_or_init(|| available_parallelism().map_or(1, usize::from));
    let helpers = threads.min(*processors) - 1;
    with_helpers(helpers, owner, &AtomicBool::new(false), f)
}

fn with_helpers<R: Send>(
    helpers: usize,
    owner: usize,
    done: &AtomicBool,
    f: impl FnOnce() -> R + Send,
) -> R {
    if helpers == 0 {
        let _release = ReleaseHelpers(done);
        return f();
    }
    let main = || with_helpers(helpers - 1, owner, done, f);
    rayon::join(main, || help(owner, done)).0
}

/// Lets the helpers return, also if the computation panics.
struct ReleaseHelpers<'a>(&'a AtomicBool);

impl Drop for ReleaseHelpers<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Takes up work until the computation is done.
fn help(owner: usize, done: &AtomicBool) {
    if rayon::current_thread_index() == Some(owner) {
        return; // no other thread was free to run this
    }
    let mut idle_since: Option<Instant> = None;
    while !done.load(Ordering::Acquire) {
        match rayon::yield_now() {
            Some(rayon::Yield::Executed) => idle_since = None,
            _ if idle_since.get_or_insert_with(Instant::now).elapsed() > IDLE => return,
            _ => std::hint::spin_loop(),
        }
    }
}
