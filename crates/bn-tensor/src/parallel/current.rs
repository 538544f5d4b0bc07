//! The threads that a computation on the current thread uses.

use super::{local::with_value, team, workers::Workers};
use std::{cell::RefCell, sync::Arc};

thread_local! {
    /// Whether this thread runs a computation that is not shared.
    static IS_SINGLE: RefCell<bool> = const { RefCell::new(false) };
    /// The pool of [`install`].
    static INSTALLED: RefCell<Option<Arc<Workers>>> = const { RefCell::new(None) };
}

pub(super) fn threads() -> usize {
    if IS_SINGLE.with_borrow(|&is_single| is_single) {
        return 1;
    }
    team::threads().unwrap_or_else(|| with_workers(Workers::threads))
}

pub(super) fn single_threaded<R>(f: impl FnOnce() -> R) -> R {
    with_value(&IS_SINGLE, true, f)
}

/// Runs `f` while the computations of this thread use these workers.
pub(crate) fn install<R>(workers: &Arc<Workers>, f: impl FnOnce() -> R) -> R {
    let workers = Some(Arc::clone(workers));
    with_value(&IS_SINGLE, false, || {
        team::stand(|| with_value(&INSTALLED, workers, f))
    })
}

/// Runs `f` as a computation: shared by a team if it is free, else on this thread.
pub(super) fn enter<R>(f: impl FnOnce() -> R) -> R {
    if threads() == 1 || team::threads().is_some() {
        return f();
    }
    match with_workers(Workers::seat) {
        Some(seat) => seat.sit(f),
        None => single_threaded(f),
    }
}

/// Runs `a` on this thread, and `b` on any thread of the current computation, or of a new one. (As trait
/// objects, so that this is compiled once and not for each loop.)
pub(super) fn join(a: &mut dyn FnMut(), b: &mut (dyn FnMut() + Send)) {
    enter(|| {
        if threads() > 1 {
            team::join(a, b);
        } else {
            a();
            b();
        }
    });
}

fn with_workers<R>(f: impl FnOnce(&Workers) -> R) -> R {
    INSTALLED.with_borrow(|installed| match installed {
        Some(workers) => f(workers),
        None => f(Workers::global()),
    })
}
