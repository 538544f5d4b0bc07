use bn_tensor::{alone, keep_awake, threads};
use std::time::{Duration, Instant};

/// Steps of a period, which ends with a trial of the other way. What is alone tries again soon, because most
/// of the time threads are faster; and what was far better than the other way tries again late.
const SHARED_PERIOD: u32 = 512;
const ALONE_PERIOD: u32 = 64;
const LONG_PERIOD: u32 = 8192;
/// Steps by which the two ways are compared; of 512 they cost a small net a three-hundredth.
const TRIAL: u32 = 4;
/// Of those, the steps after which a way that takes half as long again is given up.
const FIRST: u32 = 2;
/// Steps before the first comparison, while buffers grow and caches fill.
const WARM_UP: u32 = 16;

/// Whether a training step takes less time on all threads of the pool or on one.
///
/// Threads that share a step of half a millisecond meet every few microseconds and read what the other one
/// wrote. Where that takes long, on processors far apart or busy with something else, one thread is faster:
/// on a virtual machine whose two processors move about, the book's step took 0.46 ms in one second and
/// 0.87 in the next, 0.65 alone. So both ways are measured, again and again. The bits are the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    rows: usize, // of the steps so far; others are not compared with them
    left: u32,   // steps of the period to come
    alone: bool,
    least: [Duration; 2], // of the last steps of the period before the trial, and of the trial
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            rows: 0,
            left: WARM_UP + 2 * TRIAL,
            alone: false,
            least: [Duration::MAX; 2],
        }
    }
}

impl Pace {
    /// Runs a step of so many rows, on all threads or on one.
    pub(crate) fn run<R: Send, E: Send>(
        &mut self,
        rows: usize,
        step: impl FnOnce() -> Result<R, E> + Send,
    ) -> Result<R, E> {
        if threads() == 1 {
            return step();
        }
        if rows != self.rows {
            *self = Self {
                rows,
                ..Self::default()
            };
        }
        let start = Instant::now();
        let result = match self.next_is_alone() {
            true => alone(step),
            false => keep_awake(step),
        };
        if result.is_ok() {
            self.took(start.elapsed());
        }
        result
    }

    fn is_trial(&self) -> bool {
        self.left <= TRIAL
    }

    fn next_is_alone(&self) -> bool {
        self.alone != self.is_trial()
    }

    /// Notes how long a step took.
    fn took(&mut self, time: Duration) {
        let is_trial = self.is_trial();
        if self.left <= 2 * TRIAL {
            let least = &mut self.least[usize::from(is_trial)];
            *least = time.min(*least);
        }
        self.left -= 1;
        let [usual, tried] = self.least;
        let is_far_worse = is_trial && self.left == TRIAL - FIRST && tried > usual + usual / 2;
        if self.left == 0 || is_far_worse {
            self.alone ^= tried < usual - usual / 20; // less is noise
            self.left = match self.alone {
                _ if is_far_worse => LONG_PERIOD,
                true => ALONE_PERIOD,
                false => SHARED_PERIOD,
            };
            self.least = [Duration::MAX; 2];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many steps, of these microseconds shared and alone; how many of them ran alone.
    fn steps(pace: &mut Pace, count: u32, [shared, alone]: [u64; 2]) -> u32 {
        let mut ran_alone = 0;
        for _ in 0..count {
            let is_alone = pace.next_is_alone();
            ran_alone += u32::from(is_alone);
            pace.took(Duration::from_micros(if is_alone { alone } else { shared }));
        }
        ran_alone
    }

    #[test]
    fn the_faster_way_is_taken_and_left_again() {
        let mut pace = Pace::default();
        // The first comparison comes early.
        let first = WARM_UP + 2 * TRIAL;
        assert_eq!(steps(&mut pace, first, [870, 650]), TRIAL);
        let alone = ALONE_PERIOD - TRIAL;
        assert_eq!(steps(&mut pace, 10 * ALONE_PERIOD, [870, 650]), 10 * alone);
        // The processors are close together again.
        assert_eq!(steps(&mut pace, ALONE_PERIOD, [460, 650]), alone);
        assert_eq!(steps(&mut pace, 10 * SHARED_PERIOD, [460, 650]), 10 * TRIAL);
    }

    #[test]
    fn what_is_far_worse_is_tried_briefly_and_seldom() {
        for [shared, alone] in [[1000, 1900], [9000, 700]] {
            let mut pace = Pace::default();
            let first = steps(&mut pace, WARM_UP + TRIAL, [shared, alone]);
            assert_eq!(first, 0);
            steps(&mut pace, TRIAL, [shared, alone]);
            let mut worse = steps(&mut pace, 3 * LONG_PERIOD, [shared, alone]);
            if shared > alone {
                worse = 3 * LONG_PERIOD - worse;
            }
            assert!((2 * FIRST..=4 * FIRST).contains(&worse), "{worse}");
        }
    }

    #[test]
    fn a_single_slow_step_decides_nothing() {
        let mut pace = Pace::default();
        steps(&mut pace, WARM_UP + TRIAL - 1, [460, 650]);
        pace.took(Duration::from_micros(1900));
        steps(&mut pace, TRIAL, [460, 650]);
        assert_eq!(steps(&mut pace, SHARED_PERIOD, [460, 650]), TRIAL);
    }

    #[test]
    fn another_number_of_rows_begins_anew_on_all_threads() {
        let mut pace = Pace {
            rows: 100,
            alone: true,
            ..Pace::default()
        };
        let pool = bn_tensor::Pool::new(2).unwrap();
        let mut threads_of =
            |rows| -> Result<usize, ()> { pool.install(|| pace.run(rows, || Ok(threads()))) };
        let all = pool.install(threads);
        assert_eq!(threads_of(100), Ok(1));
        assert_eq!(threads_of(50), Ok(all));
    }
}
