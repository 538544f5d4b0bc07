#[cfg(feature = "mpi")]
use super::mpi::MpiLink;
use super::threads::ThreadLink;
use crate::error::Error;
use std::time::Duration;

/// Tags below it are those of a link.
pub(crate) const FIRST_TAG: i32 = 2;

/// What carries bytes between the ranks.
#[derive(Debug)]
pub(crate) enum Link {
    #[cfg(feature = "mpi")]
    Mpi(MpiLink),
    Threads(ThreadLink),
}

/// A message that is to be received.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket(pub(super) usize);

/// Messages that travel while the rank computes.
pub(crate) trait Post<'a> {
    /// Sends `bytes` to a rank. Messages between two ranks are told apart by their tags.
    fn send(&mut self, to: usize, tag: i32, bytes: &'a [u8]);

    /// Receives `bytes` from a rank.
    fn receive(&mut self, from: usize, tag: i32, bytes: &'a mut [u8]) -> Ticket;

    /// The bytes, as soon as they have arrived; `None` before and after that.
    fn arrived(&mut self, ticket: Ticket) -> Option<&'a [u8]>;

    /// Called where a rank waits.
    ///
    /// # Errors
    /// [`Error::Watchdog`], [`Error::Failed`].
    fn wait(&mut self) -> Result<(), Error>;
}

impl Link {
    pub(crate) fn rank(&self) -> usize {
        match self {
            #[cfg(feature = "mpi")]
            Link::Mpi(link) => link.rank,
            Link::Threads(link) => link.rank,
        }
    }

    pub(crate) fn size(&self) -> usize {
        match self {
            #[cfg(feature = "mpi")]
            Link::Mpi(link) => link.size,
            Link::Threads(link) => link.size(),
        }
    }

    pub(crate) fn set_watchdog(&self, limit: Duration) {
        match self {
            #[cfg(feature = "mpi")]
            Link::Mpi(link) => link.watchdog.set(limit),
            Link::Threads(link) => link.watchdog.set(limit),
        }
    }

    /// Gathers the bytes of all ranks, `counts` from each, one rank after another.
    pub(crate) fn all_gather(
        &self,
        mine: &[u8],
        counts: &[usize],
        all: &mut [u8],
    ) -> Result<(), Error> {
        match self {
            #[cfg(feature = "mpi")]
            Link::Mpi(link) => link.all_gather(mine, counts, all),
            Link::Threads(link) => link.all_gather(mine, counts, all),
        }
    }

    /// Calls `f` with a post, and then waits until all messages that it has sent are delivered.
    pub(crate) fn posted<'a, R>(&self, f: impl FnOnce(&mut dyn Post<'a>) -> R) -> R {
        match self {
            #[cfg(feature = "mpi")]
            Link::Mpi(link) => link.posted(f),
            Link::Threads(link) => f(&mut link.post()),
        }
    }

    /// See [`World::fail`](super::World::fail).
    pub(crate) fn fail(&self, message: &str) {
        match self {
            #[cfg(feature = "mpi")]
            Link::Mpi(link) => link.fail(message),
            Link::Threads(link) => link.fail(message),
        }
    }
}
