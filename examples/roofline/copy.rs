//! The bandwidth of memory, as the library's copy of a slice reaches it.

use std::hint::black_box;
use std::thread::scope;
use std::time::Instant;

/// Copies an array on some threads, each its part.
pub(crate) struct Copy {
    from: Vec<f32>,
    to: Vec<f32>,
    threads: usize,
    /// Copies at a time, so that starting threads does not count.
    times: usize,
}

impl Copy {
    pub(crate) fn new(elements: usize, threads: usize) -> Self {
        const AT_A_TIME: usize = 1 << 25;
        Self {
            from: vec![1.0; elements],
            to: vec![0.0; elements],
            threads,
            times: (AT_A_TIME / elements).max(1),
        }
    }

    /// Bytes read and written in a copy.
    pub(crate) fn bytes(&self) -> usize {
        2 * size_of::<f32>() * self.from.len()
    }

    /// Seconds of a copy: of all of it, at the threads' rates added up.
    pub(crate) fn seconds(&mut self) -> f64 {
        let (times, part) = (self.times, self.from.len().div_ceil(self.threads));
        let parts = self.from.chunks(part).zip(self.to.chunks_mut(part));
        let rates: f64 = scope(|scope| {
            let threads: Vec<_> = parts
                .map(|(from, to)| {
                    scope.spawn(move || {
                        let mut copy = || black_box(&mut *to).copy_from_slice(black_box(from));
                        copy(); // the array may have left the cache, or the memory
                        let start = Instant::now();
                        (0..times).for_each(|_| copy());
                        (from.len() * times) as f64 / start.elapsed().as_secs_f64()
                    })
                })
                .collect();
            // A thread that only copies does not panic.
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .sum()
        });
        self.from.len() as f64 / rates
    }
}
