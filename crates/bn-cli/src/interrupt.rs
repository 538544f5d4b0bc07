//! Ctrl-C: the first one asks the work to stop at the end of a step, a second one ends the process.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

/// Handles Ctrl-C from now on. The flag becomes true when it is pressed.
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
        flag
    });
    flag.clone()
}
