//! The ranks of a job: processes that `mpirun` started, or threads of this process.

mod link;
#[cfg(feature = "mpi")]
mod mpi;
mod threads;

use crate::{error::Error, header::Header};
pub(crate) use link::{FIRST_TAG, Link, Post, Ticket};
use std::{fmt::Display, time::Duration};

/// How long a rank waits for the others before it ends the job.
pub const WATCHDOG: Duration = Duration::from_secs(60);

/// One rank among those that train together.
///
/// ```
/// use bn_dist::World;
/// let ranks = World::simulate(3, |world| (world.rank(), world.size()));
/// assert_eq!(ranks, [(0, 3), (1, 3), (2, 3)]);
/// ```
#[derive(Debug)]
pub struct World {
    pub(crate) link: Link,
}

impl World {
    /// Runs `f` on each rank of a job that `mpirun` started (one rank, if it did not), in as many threads as
    /// the rank has processors, or as `RAYON_NUM_THREADS` says. If `f` returns an error or panics on one rank, the
    /// job ends on all of them, with that rank's message on standard error and a non-zero exit code.
    ///
    /// # Errors
    /// The error of `f`, if it fails on every rank. [`Error::Mpi`] if MPI does not start, which is possible only
    /// once in a process, or if the crate was built without the feature `mpi`.
    pub fn mpi<R, E: Display + From<Error>>(f: impl FnOnce(&Self) -> Result<R, E>) -> Result<R, E> {
        #[cfg(feature = "mpi")]
        return mpi::run(|link| {
            let world = Self {
                link: Link::Mpi(link),
            };
            let result = f(&world);
            match &result {
                Ok(_) => world.end(),
                Err(error) => world.fail(error),
            }
            result
        });
        #[cfg(not(feature = "mpi"))]
        {
            drop(f);
            Err(E::from(Error::Mpi {
                reason: "this program was built without MPI: build it with the feature `mpi`, or simulate ranks",
            }))
        }
    }

    /// Runs `f` on `ranks` threads of this process, as if each were a process of a job, and returns the results
    /// in the order of the ranks. At least one.
    ///
    /// If `f` panics on one of them, the others get [`Error::Failed`] where they wait for it, and then this
    /// panics too.
    pub fn simulate<R: Send>(ranks: usize, f: impl Fn(&Self) -> R + Sync) -> Vec<R> {
        threads::run(ranks.max(1), |link| {
            let world = Self {
                link: Link::Threads(link),
            };
            let result = f(&world);
            world.end();
            result
        })
    }

    /// The number of this rank, from 0.
    pub fn rank(&self) -> usize {
        self.link.rank()
    }

    /// The number of ranks.
    pub fn size(&self) -> usize {
        self.link.size()
    }

    /// Waits until all ranks are here.
    ///
    /// # Errors
    /// [`Error::Differ`] if a rank does something else, [`Error::Failed`] if one has failed. The job then ends, as
    /// [`fail`](Self::fail) says.
    pub fn barrier(&self) -> Result<(), Error> {
        let met = Header::barrier().meet(&self.link);
        met.map(|_| ()).inspect_err(|error| self.fail(error))
    }

    /// Sets how long a rank waits for the others before it ends the job ([`WATCHDOG`] by default): after this
    /// time a lost connection ends it.
    pub fn set_watchdog(&self, limit: Duration) {
        self.link.set_watchdog(limit);
    }

    /// Says that this rank cannot go on. If all ranks say so within two seconds, it returns on all of them.
    /// Otherwise the job ends with this rank's message: the processes of MPI are aborted, and simulated ranks
    /// get [`Error::Failed`].
    pub fn fail(&self, error: &impl Display) {
        self.link.fail(&format!("{error:#}")); // with its causes, if it is one of anyhow
    }

    fn end(&self) {
        let _ = Header::end().meet(&self.link); // the others say it if they have not ended
    }
}
