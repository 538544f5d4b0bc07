//! The training run that clients start and stop.

use crate::{content::Train, error::Error, live::Live};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// At most one run at a time.
pub(crate) struct Training {
    train: Arc<Train>,
    live: Live,
    run: Mutex<Option<Run>>, // the last one
}

struct Run {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Training {
    pub(crate) fn new(train: Train, live: Live) -> Self {
        Self {
            train: Arc::new(train),
            live,
            run: Mutex::default(),
        }
    }

    /// Starts a run.
    pub(crate) fn start(&self) -> Result<(), Error> {
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        if run.as_ref().is_some_and(|run| !run.thread.is_finished()) {
            return Err(Error::Running);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (train, live, flag) = (
            Arc::clone(&self.train),
            self.live.clone(),
            Arc::clone(&stop),
        );
        let name = "bn-serve training".to_owned();
        let thread = thread::Builder::new().name(name).spawn(move || {
            // The message of a panic is on standard error; the server goes on.
            let _ = catch_unwind(AssertUnwindSafe(|| train(live, flag)));
        })?;
        *run = Some(Run { thread, stop });
        Ok(())
    }

    /// Asks the run to stop.
    pub(crate) fn stop(&self) {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = &*run {
            run.stop.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a run is running.
    pub(crate) fn is_running(&self) -> bool {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        run.as_ref().is_some_and(|run| !run.thread.is_finished())
    }
}

/// A run does not outlive its server.
impl Drop for Training {
    fn drop(&mut self) {
        self.stop();
    }
}
