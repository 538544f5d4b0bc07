//! Thread pools, whose threads have everything they need before the first computation.

use crate::error::Error;
#[cfg(feature = "parallel")]
use crate::matmul::gemm;

/// A number of threads to compute with.
///
/// Enter it once, around a whole training run: entering wakes threads and may allocate, while the
/// work inside does neither. Without the feature `parallel`, every pool is the calling thread only.
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
    /// Starts a pool of `threads` threads.
    ///
    /// # Errors
    /// [`Error::Pool`] for zero threads, or if the system fails to start them.
    pub fn new(threads: usize) -> Result<Self, Error> {
        if threads == 0 {
            let reason = "at least one thread is needed".to_owned();
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

    /// Runs `f` inside this pool: everything that this crate computes in `f` uses its threads.
    pub fn install<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        #[cfg(feature = "parallel")]
        {
            self.pool.install(f)
        }
        #[cfg(not(feature = "parallel"))]
        f()
    }
}

/// Runs `f` on a thread of the current pool. Around a computation of many parts, it enters the pool
/// once instead of once for each part. Inside a pool it is a plain call.
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

/// Allocates this thread's packing buffers for both scalar types, so that no product does.
#[cfg(feature = "parallel")]
fn prepare_thread() {
    gemm::allocate_buffers::<f32>();
    gemm::allocate_buffers::<f64>();
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
    fn a_pool_of_no_threads_is_refused() {
        assert!(matches!(Pool::new(0), Err(Error::Pool { threads: 0, .. })));
    }
}
