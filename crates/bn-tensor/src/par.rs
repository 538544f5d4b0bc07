//! Work is cut by its size, never by the number of threads, so that the bits of a result do not
//! depend on how many there are. Everything here is one divide-and-conquer over fixed pieces.

use crate::Error;

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
/// processor, or `RAYON_NUM_THREADS`); without the feature `parallel`, 1.
pub fn threads() -> usize {
    #[cfg(feature = "parallel")]
    {
        rayon::current_num_threads()
    }
    #[cfg(not(feature = "parallel"))]
    1
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
        return rayon::scope(|_| f());
    }
    f()
}

/// Runs both, at the same time where threads are free and `work` (elements touched) is worth it.
pub(crate) fn join<A: Send, B: Send>(
    work: usize,
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    #[cfg(feature = "parallel")]
    if work >= WORTH_SHARING && rayon::current_num_threads() > 1 {
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
    fn a_pool_of_no_threads_is_refused() {
        assert!(matches!(Pool::new(0), Err(Error::Pool { threads: 0, .. })));
    }
}
