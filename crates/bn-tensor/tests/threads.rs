//! The threads of this crate beside those of the program: nothing hangs.

use crate::common::{child, matrix};
use bn_tensor::{Pool, enter_pool, join, keep_awake, matmul, threads};
use ndarray::Array2;
use std::{
    sync::{Arc, Barrier, LazyLock, Mutex},
    thread,
};

/// A product that is shared between threads.
fn product() -> Array2<f32> {
    static OPERANDS: LazyLock<[Array2<f32>; 2]> =
        LazyLock::new(|| [matrix(400, 400, 1), matrix(400, 60, 2)]);
    let [a, b] = &*OPERANDS;
    let mut c = Array2::zeros((400, 60));
    matmul(a.view(), b.view(), 0.0, c.view_mut()).unwrap();
    c
}

#[test]
fn a_long_job_in_the_global_pool_of_rayon_does_not_matter() {
    child::run(|| {
        for _ in 0..2 {
            rayon::spawn(thread::park);
        }
        assert_eq!(enter_pool(product), product());
    });
}

/// A task that waits for others while it has a lock must not run another task that wants it.
#[test]
fn tasks_of_a_pool_of_rayon_may_compute_under_a_lock() {
    child::run(|| {
        let expected = product();
        let compute_64_times = || {
            let lock = Mutex::new(());
            rayon::scope(|scope| {
                for _ in 0..64 {
                    scope.spawn(|_| {
                        let _guard = lock.lock().unwrap();
                        assert_eq!(enter_pool(|| keep_awake(product)), expected);
                        assert_eq!(product(), expected);
                    });
                }
            });
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2);
        pool.build().unwrap().install(compute_64_times);
        Pool::new(2).unwrap().install(compute_64_times);
    });
}

#[test]
fn threads_may_compute_in_one_pool_under_a_lock() {
    child::run(|| {
        let (expected, lock) = (product(), Mutex::new(()));
        let pool = Pool::new(2).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..16 {
                        pool.install(|| {
                            // One part of each computation takes the lock.
                            let part = || drop((lock.lock().unwrap(), product()));
                            join(usize::MAX, part, || ());
                            assert_eq!(product(), expected);
                        });
                    }
                });
            }
        });
    });
}

#[test]
fn a_second_computation_runs_on_its_own_thread() {
    child::run(|| {
        let pool = Pool::new(2).unwrap();
        let (has_begun, may_end) = (&Barrier::new(2), &Barrier::new(2));
        let all = if cfg!(feature = "parallel") { 2 } else { 1 };
        thread::scope(|scope| {
            scope.spawn(|| {
                pool.install(|| {
                    enter_pool(|| {
                        assert_eq!(threads(), all);
                        has_begun.wait();
                        may_end.wait();
                    });
                });
            });
            has_begun.wait();
            assert_eq!(pool.install(|| enter_pool(threads)), 1);
            may_end.wait();
        });
        assert_eq!(pool.install(|| enter_pool(threads)), all);
    });
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
    let pool = Arc::new(Pool::new(2).unwrap());
    for first in [true, false] {
        let panicked = thread::spawn({
            let pool = Arc::clone(&pool);
            move || {
                let part = |panics: bool| assert!(!panics, "on purpose");
                pool.install(|| join(usize::MAX, || part(first), || part(!first)));
            }
        });
        assert!(panicked.join().is_err());
        pool.install(|| assert_eq!(enter_pool(product), product()));
    }
}

/// A thread that waits for one part must not run another part that wants the lock that it holds.
#[test]
fn parts_of_a_computation_may_take_a_lock() {
    child::run(|| {
        fn locked_products(count: usize, lock: &Mutex<()>, expected: &Array2<f32>) {
            if count == 1 {
                let _guard = lock.lock().unwrap();
                assert_eq!(product(), expected);
                return;
            }
            let half = || locked_products(count / 2, lock, expected);
            join(usize::MAX, half, half);
        }
        let expected = product();
        Pool::new(4).unwrap().install(|| {
            for _ in 0..50 {
                locked_products(8, &Mutex::new(()), &expected);
            }
        });
    });
}
