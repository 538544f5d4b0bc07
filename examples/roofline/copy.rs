//! Memory bandwidth, measured by copying an array.

use std::hint::black_box;
use std::thread::scope;
use std::time::Instant;

/// Copies an array; each thread copies a part of it.
pub(crate) struct Copy {
    from: Vec<f32>,
    to: Vec<f32>,
    threads: usize,
    /// The number of copies per measurement, which makes starting the threads negligible.
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

    /// The bytes that a copy reads and writes.
    pub(crate) fn bytes(&self) -> usize {
        2 * size_of::<f32>() * self.from.len()
    }

    /// The seconds of a copy, from the sum of the threads' rates.
    pub(crate) fn seconds(&mut self) -> f64 {
        let (times, part) = (self.times, self.from.len().div_ceil(self.threads));
        let parts = self.from.chunks(part).zip(self.to.chunks_mut(part));
        let rates: f64 = scope(|scope| {
            let threads: Vec<_> = parts
                .map(|(from, to)| {
                    scope.spawn(move || {
                        let mut copy = || black_box(&mut *to).copy_from_slice(black_box(from));
                        copy(); // brings the array into the cache if it fits
                        let start = Instant::now();
                        (0..times).for_each(|_| copy());
                        (from.len() * times) as f64 / start.elapsed().as_secs_f64()
                    })
                })
                .collect();
            // A thread that only copies cannot panic.
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .sum()
        });
        self.from.len() as f64 / rates
    }
}
