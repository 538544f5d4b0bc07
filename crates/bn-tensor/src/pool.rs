//! Thread pools.

#[cfg(feature = "parallel")]
use crate::parallel::{install, workers::Workers};
use crate::{blas, error::Error, parallel::MOST_THREADS};
#[cfg(feature = "parallel")]
use std::sync::Arc;

/// A number of threads to compute with.
///
/// The calling thread is one of them. It runs each computation itself, and the other threads help with
/// it; they run nothing else. A pool helps one computation at a time. If two threads compute in the same
/// pool at once, one of them computes without help; the results have the same bits. Without the feature
/// `parallel`, every pool is the calling thread only.
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
    workers: Arc<Workers>,
}

impl Pool {
    /// Starts a pool of `threads` threads, the calling one included.
    ///
    /// # Errors
    /// [`Error::Pool`] for zero threads or more than 4096, or if the system fails to start them.
    pub fn new(threads: usize) -> Result<Self, Error> {
        let refused = |reason: String| Error::Pool { threads, reason };
        if !(1..=MOST_THREADS).contains(&threads) {
            return Err(refused(format!("choose from 1 to {MOST_THREADS} threads")));
        }
        // Without memory for OpenBLAS nothing can be computed, and the process cannot even end.
        blas::prepare_thread();
        #[cfg(feature = "parallel")]
        {
            let workers = Arc::new(Workers::new(threads));
            workers
                .start()
                .map_err(|error| refused(error.to_string()))?;
            Ok(Self { workers })
        }
        #[cfg(not(feature = "parallel"))]
        Ok(Self {})
    }

    /// Runs `f` on the calling thread: everything that this crate computes in `f` on this thread uses the
    /// threads of this pool.
    pub fn install<R>(&self, f: impl FnOnce() -> R) -> R {
        #[cfg(feature = "parallel")]
        return install(&self.workers, f);
        #[cfg(not(feature = "parallel"))]
        f()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::{join, keep_awake, single_threaded, threads};

    #[test]
    fn what_runs_alone_stays_on_its_thread_until_it_ends() {
        let pool = Pool::new(4).unwrap();
        let here = || std::thread::current().id();
        pool.install(|| {
            let before = threads();
            let me = here();
            single_threaded(|| {
                assert_eq!(threads(), 1);
                for _ in 0..100 {
                    let (_, other) = keep_awake(|| join(usize::MAX, std::thread::yield_now, here));
                    assert_eq!(other, me);
                }
            });
            let _ = std::panic::catch_unwind(|| single_threaded(|| panic!("on purpose")));
            assert_eq!(threads(), before);
        });
    }

    #[test]
    fn a_pool_without_threads_or_with_too_many_is_refused() {
        for count in [0, 4097, usize::MAX] {
            let error = Pool::new(count).unwrap_err();
            assert!(matches!(error, Error::Pool { threads, .. } if threads == count));
            assert!(error.to_string().contains("from 1 to 4096"), "{error}");
        }
    }
}
