//! A number of threads, and the team that has them.

use super::{
    MOST_THREADS,
    fork::generation,
    team::{Seat, Team},
};
use crate::{blas, packing};
use std::{
    io,
    sync::{Arc, OnceLock, RwLock},
    thread::available_parallelism,
};

/// The threads of a pool. They start when they are first needed, and again in a process that was forked
/// from this one, because a fork copies only one thread.
#[derive(Debug)]
pub(crate) struct Workers {
    threads: usize,
    started: RwLock<Option<Started>>,
}

#[derive(Debug)]
struct Started {
    generation: usize,       // of the process that started them
    team: Option<Arc<Team>>, // `None` if the system failed to start the threads
}

impl Workers {
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            threads,
            started: RwLock::new(None),
        }
    }

    /// The workers of a computation outside each pool.
    pub(super) fn global() -> &'static Self {
        static GLOBAL: OnceLock<Workers> = OnceLock::new();
        GLOBAL.get_or_init(|| Self::new(default_threads()))
    }

    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// A place for a computation, or `None` if it has to run on its own thread: another one runs, another
    /// thread is starting the team, or the system failed to start it.
    pub(super) fn seat(&self) -> Option<Seat> {
        // Neither lock is waited for: in a forked process nobody may be left to release it.
        if let Some(started) = &*self.started.try_read().ok()?
            && started.is_of_this_process()
        {
            return started.team.as_ref()?.seat();
        }
        self.start().ok()?;
        self.started
            .try_read()
            .ok()?
            .as_ref()?
            .team
            .as_ref()?
            .seat()
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn start(&self) -> io::Result<()> {
        let Ok(mut started) = self.started.try_write() else {
            return Ok(()); // another thread starts them
        };
        if started.as_ref().is_some_and(Started::is_of_this_process) {
            return Ok(());
        }
        let team = Team::start(self.threads, prepare_thread);
        let (team, result) = match team {
            Ok(team) => (Some(team), Ok(())),
            Err(error) => (None, Err(error)),
        };
        *started = Some(Started {
            generation: generation(),
            team,
        });
        result
    }
}

impl Started {
    fn is_of_this_process(&self) -> bool {
        self.generation == generation()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let started = self.started.get_mut().unwrap_or_else(|e| e.into_inner());
        if let Some(started) = started
            && started.is_of_this_process()
            && let Some(team) = &started.team
        {
            team.close();
        }
    }
}

/// Allocates what a thread needs for products, so that no product does.
fn prepare_thread() {
    packing::allocate();
    blas::prepare_thread();
}

/// `RAYON_NUM_THREADS`, or else one thread for each processor.
fn default_threads() -> usize {
    let variable = std::env::var("RAYON_NUM_THREADS").unwrap_or_default();
    match variable.trim().parse() {
        Ok(threads) if (1..=MOST_THREADS).contains(&threads) => threads,
        _ => available_parallelism()
            .map_or(1, usize::from)
            .min(MOST_THREADS),
    }
}
