//! Threads that help one computation at a time.

use super::{
    bell::Bell,
    job::{self, JobRef},
    local::with_value,
    queue::{Queue, Shared},
};
use std::{
    cell::{Cell, RefCell},
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, available_parallelism},
    time::{Duration, Instant},
};

/// A thread that found no work for this long sleeps. Waking a thread takes longer than many loops of a
/// training step.
const IDLE: Duration = Duration::from_micros(200);

/// A thread that computes, and its helpers. They run the jobs of that computation and nothing else.
#[derive(Debug)]
pub(super) struct Team {
    /// The jobs of each thread. The first is the thread that computes.
    queues: Box<[Queue]>,
    processors: usize,
    is_taken: AtomicBool, // by a computation
    is_closed: AtomicBool,
    calls: AtomicUsize, // of `wake_helpers`
    ready: AtomicUsize, // helpers that have started
    news: Bell,         // there is a new job, or `calls` or `is_closed` has changed
    done: Bell,         // a job is done, or a helper is ready
}

/// A thread's place in a team.
#[derive(Debug)]
pub(super) struct Seat {
    team: Arc<Team>,
    index: usize,       // 0 is the thread that computes
    job: Cell<usize>,   // the number of the stolen job that this thread runs, or 0
    calls: Cell<usize>, // that this thread has seen
}

thread_local! {
    /// The place of this thread while it takes part in a computation.
    static SEAT: RefCell<Option<Seat>> = const { RefCell::new(None) };
}

impl Team {
    /// Starts a team of `threads` threads, the one that will compute included. Each helper first runs
    /// `prepare`.
    pub(super) fn start(threads: usize, prepare: fn()) -> io::Result<Arc<Self>> {
        let team = Arc::new(Self {
            queues: (0..threads).map(|_| Queue::new()).collect(),
            processors: available_parallelism().map_or(1, usize::from),
            is_taken: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            ready: AtomicUsize::new(0),
            news: Bell::default(),
            done: Bell::default(),
        });
        for index in 1..threads {
            let seat = Seat::new(&team, index);
            let started = thread::Builder::new()
                .name(format!("bn-{index}"))
                .spawn(move || {
                    prepare();
                    seat.team.ready.fetch_add(1, Ordering::SeqCst);
                    seat.team.done.wake_all();
                    seat.sit(help);
                });
            if let Err(error) = started {
                team.close();
                return Err(error);
            }
        }
        team.done
            .sleep_until(|| team.ready.load(Ordering::SeqCst) == threads - 1);
        Ok(team)
    }

    /// Ends the helpers' threads.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        self.news.wake_all();
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// The place of a computation, or `None` while another one runs.
    pub(super) fn seat(self: &Arc<Self>) -> Option<Seat> {
        let is_taken = self.is_taken.swap(true, Ordering::Acquire);
        (!is_taken).then(|| Seat::new(self, 0))
    }
}

impl Seat {
    fn new(team: &Arc<Team>, index: usize) -> Self {
        Self {
            team: Arc::clone(team),
            index,
            job: Cell::new(0),
            calls: Cell::new(0),
        }
    }

    /// Runs `f` while this thread has this place.
    pub(super) fn sit<R>(self, f: impl FnOnce() -> R) -> R {
        with_value(&SEAT, Some(self), f)
    }

    fn queue(&self) -> &Queue {
        &self.team.queues[self.index]
    }

    /// Takes a job from another thread.
    fn steal(&self, from: impl Fn(&Queue) -> Option<JobRef>) -> Option<JobRef> {
        let (before, after) = self.team.queues.split_at(self.index);
        after[1..].iter().chain(before).find_map(from)
    }

    /// Whether this thread polls for work: more threads than processors would take them from each other.
    fn polls(&self) -> bool {
        self.index < self.team.processors
    }

    /// Sleeps until there is something to do for a helper.
    fn sleep(&self) {
        let calls = || self.team.calls.load(Ordering::SeqCst);
        self.team.news.sleep_until(|| {
            let has_jobs = self.team.queues.iter().any(|queue| !queue.is_empty());
            has_jobs || self.team.is_closed() || self.polls() && calls() != self.calls.get()
        });
        self.calls.set(calls());
    }
}

impl Drop for Seat {
    /// Makes room for the next computation.
    fn drop(&mut self) {
        if self.index == 0 {
            self.team.is_taken.store(false, Ordering::Release);
        }
    }
}

/// The number of threads of the team that this thread takes part in.
pub(super) fn threads() -> Option<usize> {
    SEAT.with_borrow(|seat| Some(seat.as_ref()?.team.queues.len()))
}

/// Runs `f` while this thread takes part in no computation.
pub(super) fn stand<R>(f: impl FnOnce() -> R) -> R {
    with_value(&SEAT, None, f)
}

/// Wakes the helpers, so that they poll for work.
pub(super) fn wake_helpers() {
    seated(|seat| {
        seat.team.calls.fetch_add(1, Ordering::SeqCst);
        seat.team.news.wake_all();
    });
}

/// Runs `a` on this thread, and `b` on any thread of its team.
pub(super) fn join(a: &mut dyn FnMut(), b: &mut (dyn FnMut() + Send)) {
    let share = |job| {
        seated(|seat| {
            let part_of = seat.job.get();
            seat.queue().push(Shared { job, part_of });
            seat.team.news.wake_one();
        });
    };
    job::join(a, b, share, wait);
}

/// Waits until the job with this number, which this thread has shared, `is_done`. If no other thread has
/// taken it, this one runs it. Otherwise it helps with parts of that job and nothing else: any other job may
/// need a lock that this thread holds.
fn wait(number: usize, is_done: &dyn Fn() -> bool) {
    if let Some(job) = seated(|seat| seat.queue().take_back(number)) {
        return job.run();
    }
    let part = |seat: &Seat| seat.steal(|queue| queue.steal_part_of(number));
    run_stolen(part, is_done, |seat| seat.team.done.sleep_until(is_done));
}

/// The work of a helper.
fn help() {
    let is_closed = || seated(|seat| seat.team.is_closed());
    run_stolen(|seat| seat.steal(Queue::steal), is_closed, Seat::sleep);
}

/// Runs jobs that `steal` finds until `is_over`. Calls `sleep` if there has been none for a while.
fn run_stolen(
    steal: impl Fn(&Seat) -> Option<JobRef>,
    is_over: impl Fn() -> bool,
    sleep: impl Fn(&Seat),
) {
    let mut idle_since: Option<Instant> = None;
    while !is_over() {
        if let Some(job) = seated(&steal) {
            let outer = seated(|seat| seat.job.replace(job.number()));
            job.run();
            seated(|seat| {
                seat.job.set(outer);
                seat.team.done.wake_all();
            });
            idle_since = None;
        } else if seated(Seat::polls)
            && idle_since.get_or_insert_with(Instant::now).elapsed() < IDLE
        {
            std::hint::spin_loop();
        } else {
            seated(&sleep);
            idle_since = None;
        }
    }
}

fn seated<R>(f: impl FnOnce(&Seat) -> R) -> R {
    SEAT.with_borrow(|seat| match seat {
        Some(seat) => f(seat),
        None => unreachable!("only a thread of a team calls this"),
    })
}
