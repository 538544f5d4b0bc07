use bn_tensor::{keep_awake, single_threaded, threads};
use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

/// Steps of a period, which ends with a trial of the other way. On one thread the other way is tried
/// again soon, because most of the time threads are faster; what was far slower is tried again late.
const SHARED_PERIOD: u32 = 512;
const SINGLE_PERIOD: u32 = 64;
const LONG_PERIOD: u32 = 8192;
/// Steps by which the two ways are compared; of 512 they cost a small net a three-hundredth.
const TRIAL: u32 = 4;
/// Of those, the steps after which a way that takes half as long again is given up.
const FIRST: u32 = 2;
/// Steps before the first comparison, while buffers grow and caches fill.
const WARM_UP: u32 = 16;

/// Whether networks compare the two ways unless they are set otherwise: yes, but not where the
/// environment variable `BN_ADAPTIVE_THREADS` is `0`, `off` or `false`.
static DEFAULT: LazyLock<bool> = LazyLock::new(|| {
    let value = std::env::var("BN_ADAPTIVE_THREADS").unwrap_or_default();
    !matches!(value.trim(), "0" | "off" | "false")
});

/// Whether a training step takes less time on all threads of the pool or on one.
///
/// Threads that share a step of half a millisecond meet every few microseconds and read what the
/// other one wrote. Where that takes long, on distant cores or busy ones, one thread is faster: on a
/// virtual machine whose two vCPUs move about, the book's step took 0.46 ms in one second and 0.87
/// in the next, 0.65 on one thread. So both ways are timed, again and again. The bits are the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct AdaptiveThreads {
    is_on: bool,
    rows: usize, // of the steps so far; others are not compared with them
    left: u32,   // steps of the period to come
    is_single: bool,
    least: [Duration; 2], // of the last steps of the period before the trial, and of the trial
}

impl Default for AdaptiveThreads {
    fn default() -> Self {
        Self {
            is_on: *DEFAULT,
            rows: 0,
            left: WARM_UP + 2 * TRIAL,
            is_single: false,
            least: [Duration::MAX; 2],
        }
    }
}

impl AdaptiveThreads {
    /// Starts comparing anew, or stops.
    pub(super) fn set(&mut self, is_on: bool) {
        *self = Self {
            is_on,
            ..Self::default()
        };
    }

    /// Runs a step of so many rows, on all threads or on one. No clock is read where it is off or
    /// there is one thread.
    pub(super) fn run<R, E>(
        &mut self,
        rows: usize,
        step: impl FnOnce() -> Result<R, E>,
    ) -> Result<R, E> {
        if threads() == 1 {
            return step();
        }
        if !self.is_on {
            return keep_awake(step);
        }
        if rows != self.rows {
            *self = Self {
                is_on: true,
                rows,
                ..Self::default()
            };
        }
        let start = Instant::now();
        let result = match self.next_is_single() {
            true => single_threaded(step),
            false => keep_awake(step),
        };
        if result.is_ok() {
            self.note(start.elapsed());
        }
        result
    }

    fn is_trial(&self) -> bool {
        self.left <= TRIAL
    }

    fn next_is_single(&self) -> bool {
        self.is_single != self.is_trial()
    }

    /// Notes the time of a step.
    fn note(&mut self, time: Duration) {
        let is_trial = self.is_trial();
        if self.left <= 2 * TRIAL {
            let least = &mut self.least[usize::from(is_trial)];
            *least = time.min(*least);
        }
        self.left -= 1;
        let [usual, tried] = self.least;
        let is_far_slower = is_trial && self.left == TRIAL - FIRST && tried > usual + usual / 2;
        if self.left == 0 || is_far_slower {
            self.is_single ^= tried < usual - usual / 20; // less is noise
            self.left = match self.is_single {
                _ if is_far_slower => LONG_PERIOD,
                true => SINGLE_PERIOD,
                false => SHARED_PERIOD,
            };
            self.least = [Duration::MAX; 2];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many steps, of these microseconds shared and on one thread; how many of them ran on one.
    fn steps(choice: &mut AdaptiveThreads, count: u32, [shared, single]: [u64; 2]) -> u32 {
        let mut ran_single = 0;
        for _ in 0..count {
            let is_single = choice.next_is_single();
            ran_single += u32::from(is_single);
            choice.note(Duration::from_micros(if is_single {
                single
            } else {
                shared
            }));
        }
        ran_single
    }

    #[test]
    fn the_faster_way_is_chosen_and_left_again() {
        let mut choice = AdaptiveThreads::default();
        // The first comparison comes early.
        let first = WARM_UP + 2 * TRIAL;
        assert_eq!(steps(&mut choice, first, [870, 650]), TRIAL);
        let single = SINGLE_PERIOD - TRIAL;
        assert_eq!(
            steps(&mut choice, 10 * SINGLE_PERIOD, [870, 650]),
            10 * single
        );
        // The processors are close together again.
        assert_eq!(steps(&mut choice, SINGLE_PERIOD, [460, 650]), single);
        assert_eq!(
            steps(&mut choice, 10 * SHARED_PERIOD, [460, 650]),
            10 * TRIAL
        );
    }

    #[test]
    fn what_is_far_slower_is_tried_briefly_and_seldom() {
        for [shared, single] in [[1000, 1900], [9000, 700]] {
            let mut choice = AdaptiveThreads::default();
            let first = steps(&mut choice, WARM_UP + TRIAL, [shared, single]);
            assert_eq!(first, 0);
            steps(&mut choice, TRIAL, [shared, single]);
            let mut worse = steps(&mut choice, 3 * LONG_PERIOD, [shared, single]);
            if shared > single {
                worse = 3 * LONG_PERIOD - worse;
            }
            assert!((2 * FIRST..=4 * FIRST).contains(&worse), "{worse}");
        }
    }

    #[test]
    fn a_single_slow_step_decides_nothing() {
        let mut choice = AdaptiveThreads::default();
        steps(&mut choice, WARM_UP + TRIAL - 1, [460, 650]);
        choice.note(Duration::from_micros(1900));
        steps(&mut choice, TRIAL, [460, 650]);
        assert_eq!(steps(&mut choice, SHARED_PERIOD, [460, 650]), TRIAL);
    }

    #[test]
    fn another_number_of_rows_begins_anew_on_all_threads() {
        let mut choice = AdaptiveThreads {
            is_on: true,
            rows: 100,
            is_single: true,
            ..AdaptiveThreads::default()
        };
        let pool = bn_tensor::Pool::new(2).unwrap();
        let mut threads_of =
            |rows| -> Result<usize, ()> { pool.install(|| choice.run(rows, || Ok(threads()))) };
        let all = pool.install(threads);
        assert_eq!(threads_of(100), Ok(1));
        assert_eq!(threads_of(50), Ok(all));
    }

    #[test]
    fn switched_off_it_measures_nothing_and_uses_all_threads() {
        let mut choice = AdaptiveThreads::default();
        choice.set(false);
        let pool = bn_tensor::Pool::new(2).unwrap();
        let all = pool.install(threads);
        for _ in 0..3 * (WARM_UP + 2 * TRIAL) {
            let used = pool.install(|| choice.run(100, || Ok::<_, ()>(threads())));
            assert_eq!(used, Ok(all));
        }
        assert_eq!(choice.rows, 0);
        assert_eq!(choice.least, [Duration::MAX; 2]);
    }
}
