//! Ranks as processes, over MPI.

mod launcher;

use super::{
    WATCHDOG,
    link::{Post, Ticket},
};
use crate::{digest, error::Error, watchdog::Watchdog};
use bn_tensor::Pool;
use mpi::{
    Threading,
    collective::CommunicatorCollectives,
    datatype::PartitionMut,
    environment::Universe,
    point_to_point::{Destination, Source},
    request::{self, LocalScope, Request},
    topology::{Communicator, SimpleCommunicator},
};
use std::{
    env, fs, panic,
    thread::{available_parallelism, yield_now},
    time::{Duration, Instant},
};

/// How long a rank that failed waits for the others to fail too.
const GRACE: Duration = Duration::from_secs(2);

/// The tag with which a rank says that it has failed.
const FAILED: i32 = 1;

/// The exit code of an aborted job.
const EXIT_CODE: i32 = 1;

/// How many times a rank looks for a message before it lets others have the processor.
const SPINS: u32 = 1000;

/// One of the processes.
#[derive(Debug)]
pub(crate) struct MpiLink {
    pub(super) rank: usize,
    pub(super) size: usize,
    pub(super) watchdog: Watchdog,
}

/// Runs `f` between the beginning and the end of MPI.
pub(super) fn run<R, E: From<Error>>(f: impl FnOnce(MpiLink) -> Result<R, E>) -> Result<R, E> {
    // From one thread at a time, whichever it is.
    let Some((universe, _)) = mpi::initialize_with_threading(Threading::Serialized) else {
        let reason = "MPI was started before, which is possible once in a process";
        return Err(E::from(Error::Mpi { reason }));
    };
    let world = universe.world();
    let link = MpiLink {
        rank: world.rank() as usize,
        size: world.size() as usize,
        watchdog: Watchdog::new(WATCHDOG),
    };
    abort_on_panic(link.rank);
    let pool = Pool::new(threads(&universe)).map_err(|_| Error::Mpi {
        reason: "no threads can be started",
    })?;
    pool.install(|| f(link))
}

/// The threads of this rank: as many as the user says, or its share of the processors.
fn threads(universe: &Universe) -> usize {
    if env::var_os("RAYON_NUM_THREADS").is_some() {
        return bn_tensor::threads();
    }
    // Ranks that may use the same processors share them; those that are bound to others do not.
    let here = universe.world().split_shared(0);
    let (mine, mut all) = (digest::of(processors()), vec![0u64; here.size() as usize]);
    here.all_gather_into(&mine, &mut all[..]);
    let sharing = all.iter().filter(|&&other| other == mine).count();
    let available = available_parallelism().map_or(1, |n| n.get());
    (available / sharing.max(1)).max(1)
}

/// The processors that this process may use, in the system's words; the same for all where it does not say.
fn processors() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with("Cpus_allowed_list:"));
    line.unwrap_or_default().to_owned()
}

/// Otherwise a panic would unwind into the end of MPI, where it would wait for the other ranks, and these for it.
fn abort_on_panic(rank: usize) {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        eprintln!("rank {rank} panicked; the job ends");
        print(info);
        launcher::end_soon();
        SimpleCommunicator::world().abort(EXIT_CODE)
    }));
}

impl MpiLink {
    pub(super) fn all_gather(
        &self,
        mine: &[u8],
        counts: &[usize],
        all: &mut [u8],
    ) -> Result<(), Error> {
        if i32::try_from(all.len()).is_err() {
            return Err(Error::Setting {
                what: "the size of what all ranks gather",
                value: format!("{} bytes", all.len()),
                must_be: "below 2 GiB: use fewer ranks".to_owned(),
            });
        }
        let counts: Vec<i32> = counts.iter().map(|&count| count as i32).collect();
        let mut end = 0;
        let starts = counts.iter().map(|count| {
            end += count;
            end - count
        });
        let starts: Vec<i32> = starts.collect();
        let mut all = PartitionMut::new(all, counts, starts);
        request::scope(|scope| {
            let world = SimpleCommunicator::world();
            let mut request = world.immediate_all_gather_varcount_into(scope, mine, &mut all);
            let mut wait = Wait::new(self);
            while let Err(unfinished) = request.test() {
                request = unfinished;
                wait.once();
            }
        });
        Ok(())
    }

    pub(super) fn posted<'a, R>(&self, f: impl FnOnce(&mut dyn Post<'a>) -> R) -> R {
        request::scope(|scope| {
            let mut post = MpiPost {
                scope,
                wait: Wait::new(self),
                sent: Vec::new(),
                expected: Vec::new(),
            };
            let result = f(&mut post);
            post.finish();
            result
        })
    }

    pub(super) fn fail(&self, message: &str) {
        let world = SimpleCommunicator::world();
        let others = || (0..self.size).filter(|&rank| rank != self.rank);
        let mut said = vec![[0u8]; self.size];
        request::scope(|scope| {
            let start = Instant::now();
            let mut requests = Vec::new();
            for (rank, said) in said.iter_mut().enumerate().filter(|(r, _)| *r != self.rank) {
                let process = world.process_at_rank(rank as i32);
                requests.push(process.immediate_receive_into_with_tag(scope, said, FAILED));
            }
            let mut pending = Vec::new();
            for rank in others() {
                let process = world.process_at_rank(rank as i32);
                pending.push(process.immediate_send_with_tag(scope, &[1u8], FAILED));
            }
            let mut pending: Vec<_> = pending.into_iter().map(Some).collect();
            let mut requests: Vec<_> = requests.into_iter().map(Some).collect();
            while finish(&mut pending) + finish(&mut requests) > 0 {
                if start.elapsed() > GRACE {
                    self.abort(message);
                }
                yield_now();
            }
        });
    }

    fn abort(&self, message: &str) -> ! {
        eprintln!("error on rank {} of {}: {message}", self.rank, self.size);
        launcher::end_soon();
        SimpleCommunicator::world().abort(EXIT_CODE)
    }
}

/// Removes the requests that are completed, and returns how many are left.
fn finish<'a, D: ?Sized>(requests: &mut [Option<Request<'a, D, &LocalScope<'a>>>]) -> usize {
    let mut left = 0;
    for slot in requests {
        if let Some(request) = slot.take()
            && let Err(request) = request.test()
        {
            *slot = Some(request);
            left += 1;
        }
    }
    left
}

/// A rank that waits for others. It cannot return before they answer, because MPI would still write to the memory
/// that it was given; so if they do not, the job ends.
struct Wait<'l> {
    link: &'l MpiLink,
    start: Instant,
    spins: u32,
}

impl<'l> Wait<'l> {
    fn new(link: &'l MpiLink) -> Self {
        Self {
            link,
            start: Instant::now(),
            spins: 0,
        }
    }

    fn restart(&mut self) {
        self.start = Instant::now();
        self.spins = 0;
    }

    fn once(&mut self) {
        self.spins = self.spins.saturating_add(1);
        if self.spins.is_multiple_of(SPINS)
            && let Err(error) = self.link.watchdog.check(self.link.rank, self.start)
        {
            self.link.abort(&error.to_string());
        }
        if self.spins > SPINS {
            yield_now(); // there may be more ranks than processors
        }
    }
}

type Pending<'a, 's> = Option<Request<'a, [u8], &'s LocalScope<'a>>>;

struct MpiPost<'a, 's, 'l> {
    scope: &'s LocalScope<'a>,
    wait: Wait<'l>,
    sent: Vec<Pending<'a, 's>>,
    expected: Vec<Pending<'a, 's>>,
}

impl MpiPost<'_, '_, '_> {
    fn finish(&mut self) {
        self.wait.restart();
        while finish(&mut self.sent) + finish(&mut self.expected) > 0 {
            self.wait.once();
        }
    }
}

impl<'a> Post<'a> for MpiPost<'a, '_, '_> {
    fn send(&mut self, to: usize, tag: i32, bytes: &'a [u8]) {
        let world = SimpleCommunicator::world();
        let process = world.process_at_rank(to as i32);
        let request = process.immediate_send_with_tag(self.scope, bytes, tag);
        self.sent.push(Some(request));
    }

    fn receive(&mut self, from: usize, tag: i32, bytes: &'a mut [u8]) -> Ticket {
        let world = SimpleCommunicator::world();
        let process = world.process_at_rank(from as i32);
        let request = process.immediate_receive_into_with_tag(self.scope, bytes, tag);
        self.expected.push(Some(request));
        Ticket(self.expected.len() - 1)
    }

    fn arrived(&mut self, Ticket(i): Ticket) -> Option<&'a [u8]> {
        match self.expected[i].take()?.test_with_data() {
            Ok((_, bytes)) => {
                self.wait.restart();
                Some(bytes)
            }
            Err(request) => {
                self.expected[i] = Some(request);
                None
            }
        }
    }

    fn wait(&mut self) -> Result<(), Error> {
        self.wait.once();
        Ok(())
    }
}
