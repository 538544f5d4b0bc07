//! Ctrl-C, and SIGTERM where there is one: the first asks the work to stop at the end of a step, a second one ends the
//! process.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

/// Handles Ctrl-C and SIGTERM from now on. The flag becomes true when one of them comes.
pub(crate) fn handle() -> Arc<AtomicBool> {
    static REQUESTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    let flag = REQUESTED.get_or_init(|| {
        let flag = Arc::new(AtomicBool::new(false));
        let of_handler = flag.clone();
        // Without the handler, Ctrl-C ends the process as the system does it.
        let _ = ctrlc::set_handler(move || {
            if of_handler.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        });
        #[cfg(unix)]
        terminate(&flag);
        flag
    });
    flag.clone()
}

#[cfg(unix)]
fn terminate(flag: &Arc<AtomicBool>) {
    use signal_hook::{consts::SIGTERM, flag};
    // In this order, so that the first signal does not meet the flag that it sets.
    let _ = flag::register_conditional_shutdown(SIGTERM, 128 + SIGTERM, Arc::clone(flag));
    let _ = flag::register(SIGTERM, Arc::clone(flag));
}
