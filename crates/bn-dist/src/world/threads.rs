//! Ranks as threads of this process.

use super::{
    WATCHDOG,
    link::{Post, Ticket},
};
use crate::{error::Error, watchdog::Watchdog};
use std::{
    collections::{HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a rank that failed waits for the others to fail too.
const GRACE: Duration = Duration::from_secs(2);

/// The tag of what all ranks gather.
const GATHERED: i32 = 0;

#[derive(Debug)]
struct Hub {
    ranks: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    messages: HashMap<(usize, usize, i32), VecDeque<Vec<u8>>>, // by sender, receiver and tag
    version: u64,                                              // the number of changes so far
    failed: Vec<usize>, // ranks that cannot go on, until all have said so
    failure: Option<(usize, String)>, // of the rank that ended the job
}

/// One of the threads.
#[derive(Debug)]
pub(crate) struct ThreadLink {
    pub(super) rank: usize,
    hub: Arc<Hub>,
    pub(super) watchdog: Watchdog,
}

/// Runs `f` on each rank.
pub(super) fn run<R: Send>(ranks: usize, f: impl Fn(ThreadLink) -> R + Sync) -> Vec<R> {
    let hub = Arc::new(Hub {
        ranks,
        state: Mutex::default(),
        changed: Condvar::new(),
    });
    let (f, hub) = (&f, &hub);
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..ranks)
            .map(|rank| {
                scope.spawn(move || {
                    let link = ThreadLink {
                        rank,
                        hub: hub.clone(),
                        watchdog: Watchdog::new(WATCHDOG),
                    };
                    let result = catch_unwind(AssertUnwindSafe(|| f(link)));
                    if result.is_err() {
                        hub.end(rank, "it panicked");
                    }
                    result
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|result| result.and_then(|result| result))
            .collect()
    });
    let each = results.into_iter();
    each.map(|result| result.unwrap_or_else(|panic| resume_unwind(panic)))
        .collect()
}

impl Hub {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, rank: usize, reason: &str) {
        let mut state = self.state();
        state.failure.get_or_insert((rank, reason.to_owned()));
        self.notify(&mut state);
    }

    fn notify(&self, state: &mut State) {
        state.version += 1;
        self.changed.notify_all();
    }
}

impl ThreadLink {
    pub(super) fn size(&self) -> usize {
        self.hub.ranks
    }

    pub(super) fn post<'a>(&self) -> ThreadPost<'a, '_> {
        ThreadPost {
            link: self,
            expected: Vec::new(),
            seen: 0,
            waits_since: None,
        }
    }

    pub(super) fn all_gather(
        &self,
        mine: &[u8],
        counts: &[usize],
        mut all: &mut [u8],
    ) -> Result<(), Error> {
        let others = (0..self.size()).filter(|&to| to != self.rank);
        others.for_each(|to| self.send(to, GATHERED, mine));
        for (from, &count) in counts.iter().enumerate() {
            let (to, rest) = all.split_at_mut(count);
            match from == self.rank {
                true => to.copy_from_slice(mine),
                false => self.receive(from, to)?,
            }
            all = rest;
        }
        Ok(())
    }

    fn send(&self, to: usize, tag: i32, bytes: &[u8]) {
        let mut state = self.hub.state();
        let queue = state.messages.entry((self.rank, to, tag)).or_default();
        queue.push_back(bytes.to_vec());
        self.hub.notify(&mut state);
    }

    fn receive(&self, from: usize, to: &mut [u8]) -> Result<(), Error> {
        let (start, mut state) = (Instant::now(), self.hub.state());
        loop {
            state.check()?; // first: a rank that failed sends no more of this
            if let Some(bytes) = state.take(from, self.rank, GATHERED) {
                return copy(from, &bytes, to);
            }
            self.watchdog.check(self.rank, start)?;
            state = self.wait(state);
        }
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        let most = self.watchdog.limit().min(Duration::from_millis(100));
        let woken = self.hub.changed.wait_timeout(state, most);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn fail(&self, message: &str) {
        let (start, mut state) = (Instant::now(), self.hub.state());
        state.failed.push(self.rank);
        self.hub.notify(&mut state);
        while state.failed.len() < self.size() && state.failure.is_none() {
            if start.elapsed() > GRACE {
                state.failure = Some((self.rank, message.to_owned()));
                return self.hub.notify(&mut state);
            }
            state = self.wait(state);
        }
    }
}

impl State {
    fn take(&mut self, from: usize, to: usize, tag: i32) -> Option<Vec<u8>> {
        self.messages.get_mut(&(from, to, tag))?.pop_front()
    }

    fn check(&self) -> Result<(), Error> {
        match &self.failure {
            Some((rank, reason)) => Err(Error::Failed {
                rank: *rank,
                reason: reason.clone(),
            }),
            None => Ok(()),
        }
    }
}

fn copy(from: usize, bytes: &[u8], to: &mut [u8]) -> Result<(), Error> {
    if bytes.len() != to.len() {
        return Err(Error::Failed {
            rank: from,
            reason: format!("it sent {} bytes instead of {}", bytes.len(), to.len()),
        });
    }
    to.copy_from_slice(bytes);
    Ok(())
}

/// What a rank expects: from whom, with which tag, and the memory for it.
type Expected<'a> = Option<(usize, i32, &'a mut [u8])>;

pub(super) struct ThreadPost<'a, 'l> {
    link: &'l ThreadLink,
    expected: Vec<Expected<'a>>,
    seen: u64, // the version of the state before the last look at the messages
    waits_since: Option<Instant>,
}

impl<'a> Post<'a> for ThreadPost<'a, '_> {
    fn send(&mut self, to: usize, tag: i32, bytes: &'a [u8]) {
        self.link.send(to, tag, bytes);
    }

    fn receive(&mut self, from: usize, tag: i32, bytes: &'a mut [u8]) -> Ticket {
        self.expected.push(Some((from, tag, bytes)));
        Ticket(self.expected.len() - 1)
    }

    fn arrived(&mut self, Ticket(i): Ticket) -> Option<&'a [u8]> {
        let (from, tag, _) = self.expected[i].as_ref()?;
        let message = self.link.hub.state().take(*from, self.link.rank, *tag)?;
        self.waits_since = None;
        let (from, _, bytes) = self.expected[i].take()?;
        match copy(from, &message, bytes) {
            Ok(()) => Some(bytes),
            Err(error) => {
                self.link.hub.end(self.link.rank, &error.to_string());
                None
            }
        }
    }

    fn wait(&mut self) -> Result<(), Error> {
        let start = *self.waits_since.get_or_insert_with(Instant::now);
        self.link.watchdog.check(self.link.rank, start)?;
        let mut state = self.link.hub.state();
        state.check()?;
        if state.version == self.seen {
            state = self.link.wait(state);
        }
        self.seen = state.version;
        Ok(())
    }
}
