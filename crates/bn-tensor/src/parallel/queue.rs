//! The jobs that a thread offers to the others.

use super::job::JobRef;
use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Jobs that fit without allocating: a loop that is halved again and again has one per halving.
const CAPACITY: usize = 64;

/// The jobs of one thread. It takes the newest one back; other threads take the oldest, which is the
/// largest part of the work.
#[derive(Debug)]
pub(super) struct Queue {
    len: AtomicUsize, // so that nobody locks an empty queue
    jobs: Mutex<VecDeque<Shared>>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) job: JobRef,
    /// The number of the job that this one is a part of.
    pub(super) part_of: usize,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            len: AtomicUsize::new(0),
            jobs: Mutex::new(VecDeque::with_capacity(CAPACITY)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::SeqCst) == 0
    }

    pub(super) fn push(&self, shared: Shared) {
        let mut jobs = self.lock();
        jobs.push_back(shared);
        self.len.store(jobs.len(), Ordering::SeqCst);
    }

    /// Takes the newest job if it has this number.
    pub(super) fn take_back(&self, number: usize) -> Option<JobRef> {
        self.take(|jobs| {
            let is_there = jobs.back()?.job.number() == number;
            if is_there { jobs.pop_back() } else { None }
        })
    }

    /// Takes the oldest job.
    pub(super) fn steal(&self) -> Option<JobRef> {
        self.take(VecDeque::pop_front)
    }

    /// Takes the oldest job that is a part of the job with this number.
    pub(super) fn steal_part_of(&self, number: usize) -> Option<JobRef> {
        self.take(|jobs| {
            let at = jobs.iter().position(|shared| shared.part_of == number)?;
            jobs.remove(at)
        })
    }

    fn take(&self, take: impl FnOnce(&mut VecDeque<Shared>) -> Option<Shared>) -> Option<JobRef> {
        if self.is_empty() {
            return None;
        }
        let mut jobs = self.lock();
        let taken = take(&mut jobs);
        self.len.store(jobs.len(), Ordering::SeqCst);
        Some(taken?.job)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Shared>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
