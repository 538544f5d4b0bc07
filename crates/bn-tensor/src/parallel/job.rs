//! A closure on one thread's stack that another thread may run.
//!
//! This file has `unsafe` code: a helper thread lives longer than the stack frame that the closure borrows
//! from, so the compiler cannot check that the closure is still there. No well-kept crate fits: a thread
//! that waits in rayon runs other tasks of the program, under whatever locks it holds, and rayon's pools
//! cannot be shared by a thread from outside.
#![allow(unsafe_code)]

use std::{
    cell::UnsafeCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

/// Runs `a` on this thread and `b` on any. `share` offers the job `b` to other threads. `wait` gets its
/// number and whether it is done; it may run it or other jobs.
pub(super) fn join(
    a: &mut dyn FnMut(),
    b: &mut (dyn FnMut() + Send),
    share: impl FnOnce(JobRef),
    wait: impl Fn(usize, &dyn Fn() -> bool),
) {
    let job = Job {
        f: UnsafeCell::new(b),
        result: UnsafeCell::new(Ok(())),
        is_done: AtomicBool::new(false),
    };
    let job_ref = job.as_ref();
    let number = job_ref.number();
    share(job_ref);
    // The job must be done before this frame ends, even if `a` panics.
    let a = catch_unwind(AssertUnwindSafe(a));
    while !job.is_done() {
        wait(number, &|| job.is_done());
    }
    if let Err(panic) = a.and(job.result.into_inner()) {
        resume_unwind(panic);
    }
}

/// A closure, and then its panic if there was one.
struct Job<'a> {
    f: UnsafeCell<&'a mut (dyn FnMut() + Send)>,
    result: UnsafeCell<thread::Result<()>>,
    is_done: AtomicBool,
}

/// A pointer to a job that has not run yet. There is one for each job, and [`run`](Self::run) consumes it.
#[derive(Debug)]
pub(super) struct JobRef(*const Job<'static>);

// SAFETY: the closure of the job is `Send`, and so is the result.
unsafe impl Send for JobRef {}

impl Job<'_> {
    fn as_ref(&self) -> JobRef {
        JobRef((&raw const *self).cast())
    }

    fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Acquire)
    }
}

impl JobRef {
    /// A number that no other job has until this one is done.
    pub(super) fn number(&self) -> usize {
        self.0.addr()
    }

    /// Runs the job. A panic of its closure is passed on to the thread that waits for it.
    pub(super) fn run(self) {
        // SAFETY: `join` keeps the job until `is_done` is set, which is the last access to it. Until then
        // nothing else accesses the closure and the result, because this call consumes the only pointer.
        unsafe {
            let job = self.0;
            *(*job).result.get() = catch_unwind(AssertUnwindSafe(|| (*(*job).f.get())()));
            (*job).is_done.store(true, Ordering::Release);
        }
    }
}
