//! Ctrl-C (SIGINT): ends the program with exit code 130 and leaves the terminal clean.
//!
//! Work that must not be cut off is held: the first Ctrl-C then only sets [`requested`], and the
//! program ends when the work is released. A second Ctrl-C always ends it at once.

use std::{
    io::{IsTerminal, Write, stderr},
    process::exit,
    sync::{Mutex, MutexGuard, PoisonError},
};

struct State {
    held: usize,
    requested: bool,
}

static STATE: Mutex<State> = Mutex::new(State {
    held: 0,
    requested: false,
});

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Handles Ctrl-C from now on.
pub fn handle() {
    let handler = || {
        let mut state = state();
        if state.held == 0 || state.requested {
            end();
        }
        state.requested = true;
    };
    // Without the handler, Ctrl-C ends the program as the system does it.
    let _ = ctrlc::set_handler(handler);
}

/// Whether Ctrl-C was pressed while work is held.
pub fn requested() -> bool {
    state().requested
}

/// Work that the first Ctrl-C does not cut off.
#[must_use]
pub struct Held(());

/// Begins work that the first Ctrl-C does not cut off.
pub fn hold() -> Held {
    state().held += 1;
    Held(())
}

impl Held {
    /// Ends the work, and the program if Ctrl-C was pressed meanwhile.
    pub fn release(self) {
        let mut state = state();
        state.held -= 1;
        if state.held == 0 && state.requested {
            end();
        }
    }
}

fn end() -> ! {
    // The lock keeps a progress bar from being drawn again.
    let mut stderr = stderr().lock();
    if stderr.is_terminal() {
        // Clear the line and show the cursor.
        let _ = stderr.write_all(b"\r\x1b[2K\x1b[?25h");
    }
    exit(130)
}
