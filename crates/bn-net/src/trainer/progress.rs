//! The progress of the trainer on standard error. Without the feature `progress` nothing is written.

#[cfg(feature = "progress")]
mod shown {
    use super::super::history::Record;
    use indicatif::{ProgressBar, ProgressStyle};
    use std::io::{IsTerminal, stderr};

    /// A bar on a terminal; elsewhere a line for each evaluation.
    pub(in super::super) struct Progress {
        bar: ProgressBar,
        total: u64,
        writes_lines: bool,
    }

    impl Progress {
        /// Of `total` steps; nothing is shown unless it is `visible`.
        pub(in super::super) fn new(total: u64, visible: bool) -> Self {
            let is_terminal = stderr().is_terminal();
            let bar = match visible && is_terminal {
                true => ProgressBar::new(total),
                false => ProgressBar::hidden(),
            };
            // The message is cut where the terminal ends.
            let style = "{bar:30} {pos}/{len} steps, {elapsed} of {duration}{wide_msg}";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            Self {
                bar,
                total,
                writes_lines: visible && !is_terminal,
            }
        }

        /// The first steps were made before.
        pub(in super::super) fn resume(&self, iteration: u64) {
            self.bar.set_position(iteration);
        }

        pub(in super::super) fn step(&self) {
            self.bar.inc(1);
        }

        pub(in super::super) fn record(&self, record: &Record) {
            let message = message(record);
            if self.writes_lines {
                eprintln!("step {}/{}{message}", record.iteration, self.total);
            }
            self.bar.set_message(message);
        }

        /// Leaves the bar where it is: the run may have ended early.
        pub(in super::super) fn finish(&self) {
            self.bar.abandon();
        }
    }

    /// The losses and the first metric.
    fn message(record: &Record) -> String {
        let mut message = format!(", loss {:.4}", record.train_loss);
        if let Some(loss) = record.test_loss {
            message += &format!(", test loss {loss:.4}");
        }
        if let Some(metric) = record.metrics.first()
            && let Some(value) = metric.test.or(metric.train)
        {
            message += &format!(", {} {value:.4}", metric.name);
        }
        message
    }
}

#[cfg(not(feature = "progress"))]
mod shown {
    use super::super::history::Record;

    /// Shows nothing.
    pub(in super::super) struct Progress;

    impl Progress {
        pub(in super::super) fn new(_total: u64, _visible: bool) -> Self {
            Self
        }

        pub(in super::super) fn resume(&self, _iteration: u64) {}

        pub(in super::super) fn step(&self) {}

        pub(in super::super) fn record(&self, _record: &Record) {}

        pub(in super::super) fn finish(&self) {}
    }
}

pub(super) use shown::Progress;
