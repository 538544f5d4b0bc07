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
pub(super) fn join<A, B: Send>(
    a: impl FnOnce() -> A,
    b: impl FnOnce() -> B + Send,
    share: impl FnOnce(JobRef),
    wait: impl Fn(usize, &dyn Fn() -> bool),
) -> (A, B) {
    let job = Job {
        f: UnsafeCell::new(Some(b)),
        result: UnsafeCell::new(None),
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
    match (a, job.result.into_inner()) {
        (Ok(a), Some(Ok(b))) => (a, b),
        (Err(panic), _) | (_, Some(Err(panic))) => resume_unwind(panic),
        (Ok(_), None) => unreachable!("a job that is done has a result"),
    }
}

/// A closure, and then its result.
struct Job<F, R> {
    f: UnsafeCell<Option<F>>,
    result: UnsafeCell<Option<thread::Result<R>>>,
    is_done: AtomicBool,
}

/// A pointer to a job that has not run yet. There is one for each job, and [`run`](Self::run) consumes it.
#[derive(Debug)]
pub(super) struct JobRef {
    job: *const (),
    run: unsafe fn(*const ()),
}

// SAFETY: the closure and the result of the job are `Send`.
unsafe impl Send for JobRef {}

impl<F: FnOnce() -> R + Send, R: Send> Job<F, R> {
    fn as_ref(&self) -> JobRef {
        JobRef {
            job: (&raw const *self).cast(),
            run: Self::run,
        }
    }

    fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Acquire)
    }

    /// Runs the job at this address.
    ///
    /// # Safety
    /// The job exists until it is done, and no other call runs it.
    unsafe fn run(job: *const ()) {
        let job = job.cast::<Self>();
        // SAFETY: the job exists until `is_done` is set, which is the last access to it. Until then
        // nothing else accesses the closure and the result.
        unsafe {
            if let Some(f) = (*(*job).f.get()).take() {
                *(*job).result.get() = Some(catch_unwind(AssertUnwindSafe(f)));
            }
            (*job).is_done.store(true, Ordering::Release);
        }
    }
}

impl JobRef {
    /// A number that no other job has until this one is done.
    pub(super) fn number(&self) -> usize {
        self.job.addr()
    }

    /// Runs the job. A panic of its closure is passed on to the thread that waits for it.
    pub(super) fn run(self) {
        // SAFETY: `join` keeps the job until it is done, and this call consumes its only pointer.
        unsafe { (self.run)(self.job) }
    }
}
