//! Work is cut by its size, never by the number of threads, so that the bits of a result do not
//! depend on how many there are. Everything here is one divide-and-conquer over fixed pieces.

use crate::Error;
#[cfg(feature = "parallel")]
use crate::gemm::prepare_thread;

/// Below this many elements a loop takes a few microseconds, less than it costs to wake a thread.
#[cfg(feature = "parallel")]
const WORTH_SHARING: usize = 1 << 15;

/// A number of threads to compute with.
///
/// Enter it once, around a whole training run: entering wakes threads and may allocate, while the
/// work inside does neither. Built without the feature `parallel`, every pool is the calling
/// thread alone.
///
/// ```
/// let pool = bn_tensor::Pool::new(2)?;
/// let threads = pool.install(bn_tensor::threads);
/// assert_eq!(threads, if cfg!(feature = "parallel") { 2 } else { 1 });
/// # Ok::<(), bn_tensor::Error>(())
/// ```
#[derive(Debug)]
pub struct Pool {
    #[cfg(feature = "parallel")]
    pool: rayon::ThreadPool,
}

impl Pool {
    /// A pool of `threads` threads.
    ///
    /// # Errors
    /// [`Error::Pool`] for zero threads, or when the system refuses to start them.
    pub fn new(threads: usize) -> Result<Self, Error> {
        if threads == 0 {
            let reason = "it takes at least one".to_owned();
            return Err(Error::Pool { threads, reason });
        }
        #[cfg(feature = "parallel")]
        {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .thread_name(|i| format!("bn-{i}"))
                .build()
                .map_err(|e| Error::Pool {
                    threads,
                    reason: e.to_string(),
                })?;
            pool.broadcast(|_| prepare_thread());
            Ok(Self { pool })
        }
        #[cfg(not(feature = "parallel"))]
        Ok(Self {})
    }

    /// Runs `f` inside this pool: whatever this crate computes in it uses the pool's threads.
    pub fn install<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        #[cfg(feature = "parallel")]
        {
            self.pool.install(f)
        }
        #[cfg(not(feature = "parallel"))]
        f()
    }
}

/// The number of threads that a computation started here would use.
///
/// Inside [`Pool::install`] it is the pool's size; outside, that of rayon's global pool (one per
/// processor, or `RAYON_NUM_THREADS`); inside [`alone`] and without the feature `parallel`, 1.
pub fn threads() -> usize {
    #[cfg(feature = "parallel")]
    if !ALONE.get() {
        return rayon::current_num_threads();
    }
    1
}

#[cfg(feature = "parallel")]
thread_local! {
    /// Whether this thread runs something that is to stay on it.
    static ALONE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs `f` on the calling thread alone: whatever this crate computes in it is not shared. The results
/// are the same, bit by bit.
///
/// ```
/// assert_eq!(bn_tensor::alone(bn_tensor::threads), 1);
/// ```
pub fn alone<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(feature = "parallel")]
    {
        /// Sets the flag back, also when `f` panics.
        struct Restore(bool);
        impl Drop for Restore {
            fn drop(&mut self) {
                ALONE.set(self.0);
            }
        }
        let _restore = Restore(ALONE.replace(true));
        f()
    }
    #[cfg(not(feature = "parallel"))]
    f()
}

/// Runs `f` on a thread of the current pool: once around a computation of many parts, it costs one
/// entrance instead of one for each. Inside a pool it is a plain call.
///
/// ```
/// assert_eq!(bn_tensor::enter_pool(|| 2 + 2), 4);
/// ```
pub fn enter_pool<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    #[cfg(feature = "parallel")]
    if rayon::current_thread_index().is_none() && rayon::current_num_threads() > 1 {
        static GLOBAL_POOL: std::sync::Once = std::sync::Once::new();
        GLOBAL_POOL.call_once(|| {
            rayon::broadcast(|_| prepare_thread());
        });
        return rayon::scope(|_| f());
    }
    f()
}

/// Runs `f` while the pool's other threads stay awake, for a computation of many short loops: a
/// thread that went to sleep between two loops takes longer to wake than many of them take.
///
/// The other threads wait for work in a loop of their own, and sleep again after a fifth of a
/// millisecond without any. Nothing is allocated.
///
/// ```
/// assert_eq!(bn_tensor::keep_awake(|| 2 + 2), 4);
/// ```
pub fn keep_awake<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    #[cfg(feature = "parallel")]
    if let Some(owner) = rayon::current_thread_index() {
        let others = threads().min(processors()) - 1;
        return awake::keep(others, owner, &awake::Done::default(), f);
    }
    f()
}

#[cfg(feature = "parallel")]
fn processors() -> usize {
    static COUNT: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *COUNT.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

#[cfg(feature = "parallel")]
mod awake {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        time::{Duration, Instant},
    };

    /// A thread without work for so long goes to sleep. It is also what ends a wait that would
    /// not end otherwise: that of a helper on the stack above work that the computation needs.
    const IDLE: Duration = Duration::from_micros(200);

    #[derive(Default)]
    pub(super) struct Done(AtomicBool);

    /// Tells the helpers, also when the computation panics.
    struct Tell<'a>(&'a Done);
    impl Drop for Tell<'_> {
        fn drop(&mut self) {
            self.0.0.store(true, Ordering::Release);
        }
    }

    pub(super) fn keep<R: Send>(
        others: usize,
        owner: usize,
        done: &Done,
        f: impl FnOnce() -> R + Send,
    ) -> R {
        if others == 0 {
            let _tell = Tell(done);
            return f();
        }
        rayon::join(|| keep(others - 1, owner, done, f), || help(owner, done)).0
    }

    /// Does what work there is until all is done.
    fn help(owner: usize, done: &Done) {
        if rayon::current_thread_index() == Some(owner) {
            return; // no other thread took this up
        }
        let mut idle_since: Option<Instant> = None;
        while !done.0.load(Ordering::Acquire) {
            match rayon::yield_now() {
                Some(rayon::Yield::Executed) => idle_since = None,
                _ if idle_since.get_or_insert_with(Instant::now).elapsed() > IDLE => return,
                _ => std::hint::spin_loop(),
            }
        }
    }
}

/// Runs both, at the same time where threads are free and `work` (elements touched) is worth it.
///
/// ```
/// assert_eq!(bn_tensor::join(1_000_000, || 1, || 2), (1, 2));
/// ```
pub fn join<A: Send, B: Send>(
    work: usize,
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    #[cfg(feature = "parallel")]
    if work >= WORTH_SHARING && threads() > 1 {
        return rayon::join(a, b);
    }
    let _ = work;
    (a(), b())
}

/// One mutable slice, or several of the same length that are cut at the same places.
pub(crate) trait Split: Sized + Send {
    fn length(&self) -> usize;
    fn split(self, at: usize) -> (Self, Self);
}

impl<T: Send> Split for &mut [T] {
    fn length(&self) -> usize {
        self.len()
    }
    fn split(self, at: usize) -> (Self, Self) {
        self.split_at_mut(at)
    }
}

impl<A: Split, B: Split> Split for (A, B) {
    fn length(&self) -> usize {
        self.0.length()
    }
    fn split(self, at: usize) -> (Self, Self) {
        let (a0, a1) = self.0.split(at);
        let (b0, b1) = self.1.split(at);
        ((a0, b0), (a1, b1))
    }
}

/// Calls `f(start, piece)` for each piece of `piece_len` elements (the last may be shorter),
/// where `start` is the piece's place in the whole. `work` is the elements touched in all.
pub(crate) fn for_each_piece<S: Split>(
    data: S,
    piece_len: usize,
    work: usize,
    f: &(impl Fn(usize, S) + Sync),
) {
    recurse(data, 0, piece_len.max(1), work, f);
}

fn recurse<S: Split>(
    data: S,
    start: usize,
    piece_len: usize,
    work: usize,
    f: &(impl Fn(usize, S) + Sync),
) {
    let pieces = data.length().div_ceil(piece_len);
    if pieces <= 1 {
        if data.length() > 0 {
            f(start, data);
        }
        return;
    }
    let middle = pieces / 2 * piece_len;
    let (left, right) = data.split(middle);
    // The same `work` goes down: it says whether the whole loop is worth sharing.
    join(
        work,
        || recurse(left, start, piece_len, work, f),
        || recurse(right, start + middle, piece_len, work, f),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_everything_once() {
        for len in [0, 1, 7, 100, 1001] {
            for piece_len in [1, 3, 100, 5000] {
                let mut hits = vec![0u8; len];
                for_each_piece(&mut hits[..], piece_len, usize::MAX, &|start, piece| {
                    assert_eq!(start % piece_len, 0);
                    piece.iter_mut().for_each(|h| *h += 1);
                });
                assert!(hits.iter().all(|&h| h == 1), "{len} by {piece_len}");
            }
        }
    }

    #[test]
    fn what_runs_alone_stays_on_its_thread_until_it_ends() {
        let pool = Pool::new(4).unwrap();
        let here = || std::thread::current().id();
        pool.install(|| {
            let before = threads();
            let me = here();
            alone(|| {
                assert_eq!(threads(), 1);
                for _ in 0..100 {
                    let (_, other) = keep_awake(|| join(usize::MAX, std::thread::yield_now, here));
                    assert_eq!(other, me);
                }
            });
            let _ = std::panic::catch_unwind(|| alone(|| panic!("on purpose")));
            assert_eq!(threads(), before);
        });
    }

    #[test]
    fn a_pool_of_no_threads_is_refused() {
        assert!(matches!(Pool::new(0), Err(Error::Pool { threads: 0, .. })));
    }
}
