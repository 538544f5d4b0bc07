//! The progress bar of the trainer. Without the feature `progress` it draws nothing.

/// Counts steps on standard error, if that is a terminal.
pub(super) struct Progress {
    #[cfg(feature = "progress")]
    bar: indicatif::ProgressBar,
}

#[cfg(feature = "progress")]
impl Progress {
    /// A bar of `total` steps, or one that is never drawn.
    pub(super) fn new(total: u64, visible: bool) -> Self {
        use indicatif::{ProgressBar, ProgressStyle};
        if !visible {
            let bar = ProgressBar::hidden();
            return Self { bar };
        }
        let style = "{bar:30} {pos}/{len} steps, {elapsed} of {duration}{msg}";
        let bar = ProgressBar::new(total);
        match ProgressStyle::with_template(style) {
            Ok(style) => Self {
                bar: bar.with_style(style),
            },
            Err(_) => Self { bar },
        }
    }

    pub(super) fn step(&self) {
        self.bar.inc(1);
    }

    pub(super) fn message(&self, loss: f64, accuracy: f64) {
        let percent = 100.0 * accuracy;
        self.bar
            .set_message(format!(", loss {loss:.4}, accuracy {percent:.2} %"));
    }

    pub(super) fn finish(&self) {
        self.bar.finish();
    }
}

#[cfg(not(feature = "progress"))]
impl Progress {
    pub(super) fn new(_total: u64, _visible: bool) -> Self {
        Self {}
    }

    pub(super) fn step(&self) {}

    pub(super) fn message(&self, _loss: f64, _accuracy: f64) {}

    pub(super) fn finish(&self) {}
}
