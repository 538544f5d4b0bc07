//! Threads. Work is cut by its size, never by the number of threads, so that the bits of a result do
//! not depend on how many there are. Every parallel loop is one divide-and-conquer over fixed pieces.
//!
//! A computation starts on the thread that calls it, and the threads of a pool help: they run parts of
//! this computation and nothing else, one computation at a time. A second computation does not wait for the
//! first, but runs on its own thread. So no thread ever waits for work of another caller, or runs such work
//! under the locks that it holds.

#[cfg(feature = "parallel")]
mod bell;
#[cfg(feature = "parallel")]
mod current;
#[cfg(feature = "parallel")]
mod fork;
#[cfg(feature = "parallel")]
mod job;
#[cfg(feature = "parallel")]
mod local;
#[cfg(feature = "parallel")]
mod queue;
#[cfg(feature = "parallel")]
mod team;
#[cfg(feature = "parallel")]
pub(crate) mod workers;

#[cfg(feature = "parallel")]
pub(crate) use current::install;

/// The most threads that a pool can have.
pub(crate) const MOST_THREADS: usize = 4096;

/// Below this many elements a loop takes a few microseconds, less than it costs to wake a thread.
#[cfg(feature = "parallel")]
const WORTH_SHARING: usize = 1 << 15;

/// Elements of one piece of an element-wise loop: 64 KiB of f32, a few microseconds.
pub(crate) const PIECE: usize = 1 << 14;

/// The number of threads that a computation started here would use.
///
/// Inside [`Pool::install`](crate::Pool::install) it is the size of that pool. Outside it is
/// `RAYON_NUM_THREADS`, or one thread per processor. Inside [`single_threaded`], and
/// without the feature `parallel`, it is 1.
pub fn threads() -> usize {
    #[cfg(feature = "parallel")]
    return current::threads();
    #[cfg(not(feature = "parallel"))]
    1
}

/// Runs `f` on the calling thread only: nothing that this crate computes in it is shared with other
/// threads. The results have the same bits.
///
/// ```
/// assert_eq!(bn_tensor::single_threaded(bn_tensor::threads), 1);
/// ```
pub fn single_threaded<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(feature = "parallel")]
    return current::single_threaded(f);
    #[cfg(not(feature = "parallel"))]
    f()
}

/// Runs `f` as one computation: the threads of the current pool help with each part of it. A computation of
/// many parts then takes the pool once instead of once for each part. Inside a computation it is a plain
/// call.
///
/// If the pool is busy with another thread's computation, `f` runs without help; the bits are the same.
///
/// ```
/// assert_eq!(bn_tensor::enter_pool(|| 2 + 2), 4);
/// ```
pub fn enter_pool<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(feature = "parallel")]
    return current::enter(f);
    #[cfg(not(feature = "parallel"))]
    f()
}

/// Runs `f` as one computation whose helpers are awake. It pays for a computation of many short
/// loops: waking a thread that fell asleep between two loops takes longer than many of the loops.
///
/// The helpers poll for work, and go to sleep after 200 µs without any. Nothing is allocated.
///
/// ```
/// assert_eq!(bn_tensor::keep_awake(|| 2 + 2), 4);
/// ```
pub fn keep_awake<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(feature = "parallel")]
    return current::enter(|| {
        if current::threads() > 1 {
            team::wake_helpers();
        }
        f()
    });
    #[cfg(not(feature = "parallel"))]
    f()
}

/// Runs both closures, in parallel if a thread is free and `work` (the number of elements touched)
/// is large enough to pay for it.
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
        let (mut a, mut b) = (Some(a), Some(b));
        let (mut of_a, mut of_b) = (None, None);
        current::join(&mut || of_a = a.take().map(|a| a()), &mut || {
            of_b = b.take().map(|b| b())
        });
        match (of_a, of_b) {
            (Some(of_a), Some(of_b)) => return (of_a, of_b),
            _ => unreachable!("both closures have run"),
        }
    }
    let _ = work;
    (a(), b())
}

/// One mutable slice, or several of the same length that are cut at the same positions.
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
/// where `start` is the position of the piece in `data`. `work` is the number of elements touched in
/// all.
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
    // `work` stays that of the whole loop: it decides whether the loop is worth sharing.
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
}
