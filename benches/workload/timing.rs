//! Measures several pieces of work in turns, so that a machine that slows down for a while affects all of
//! them.

use batchnorm::Pool;
use std::time::{Duration, Instant};

/// Measures once, and returns the seconds per call.
pub(crate) type Sample<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// Creates a sample of `work` inside `pool`. Each measurement calls `work` repeatedly for about
/// `at_least`.
pub(crate) fn sample<'a>(
    pool: &'a Pool,
    at_least: Duration,
    mut work: impl FnMut() + Send + 'a,
) -> Sample<'a> {
    let mut time = move |calls: u32| {
        let work = &mut work;
        pool.install(move || {
            let start = Instant::now();
            for _ in 0..calls {
                work();
            }
            start.elapsed().as_secs_f64() / f64::from(calls)
        })
    };
    time(1); // the first call fills buffers
    let calls = at_least.as_secs_f64() / time(1);
    let calls = calls.clamp(1.0, 1e6).ceil() as u32;
    Box::new(move || time(calls))
}

/// The seconds of each sample in each of `rounds` rounds. `after_each` is called after each round, to
/// advance a progress bar.
pub(crate) fn in_turns(
    samples: &mut [Sample<'_>],
    rounds: usize,
    after_each: impl Fn(),
) -> Vec<Vec<f64>> {
    let mut seconds = vec![Vec::with_capacity(rounds); samples.len()];
    for _ in 0..rounds {
        for (seconds, sample) in seconds.iter_mut().zip(samples.iter_mut()) {
            seconds.push(sample());
        }
        after_each();
    }
    seconds
}

pub(crate) fn median(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    } else {
        sorted[middle]
    }
}

pub(crate) fn least(seconds: &[f64]) -> f64 {
    seconds.iter().copied().fold(f64::INFINITY, f64::min)
}

/// `0.00067` as `670 µs`, with three digits.
pub(crate) fn duration(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 1e-6 => (1e9 * s, "ns"),
        s if s < 1e-3 => (1e6 * s, "µs"),
        s if s < 1.0 => (1e3 * s, "ms"),
        s => (s, "s"),
    };
    format!("{} {unit}", three_digits(value))
}

/// `12345` of the unit `B` per second as `12.3 kB/s`.
pub(crate) fn rate(per_second: f64, unit: &str) -> String {
    let (value, prefix) = match per_second {
        r if r < 1e3 => (r, ""),
        r if r < 1e6 => (r / 1e3, "k"),
        r if r < 1e9 => (r / 1e6, "M"),
        r => (r / 1e9, "G"),
    };
    let space = if unit.len() > 5 && !prefix.is_empty() {
        " "
    } else {
        ""
    };
    format!("{} {prefix}{space}{unit}/s", three_digits(value))
}

pub(crate) fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}
