//! `tracing` events of a run, with the feature `tracing`.

use super::history::Record;

/// A step, at level DEBUG.
pub(super) fn step(iteration: u64, loss: f64) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "bn_net::trainer", iteration, loss, "step");
    #[cfg(not(feature = "tracing"))]
    let _ = (iteration, loss);
}

/// An evaluation, at level INFO.
pub(super) fn record(record: &Record) {
    #[cfg(feature = "tracing")]
    {
        let metric = record.metrics.first();
        tracing::info!(
            target: "bn_net::trainer",
            iteration = record.iteration,
            epoch = record.epoch,
            learning_rate = record.learning_rate,
            train_loss = record.train_loss,
            test_loss = record.test_loss,
            metric = metric.map(|metric| metric.name.as_str()),
            value = metric.and_then(|metric| metric.test.or(metric.train)),
            "evaluation"
        );
    }
    #[cfg(not(feature = "tracing"))]
    let _ = record;
}

/// A run that continues from a file, at level INFO.
pub(super) fn resumed(iteration: u64) {
    #[cfg(feature = "tracing")]
    tracing::info!(target: "bn_net::trainer", iteration, "resumed");
    #[cfg(not(feature = "tracing"))]
    let _ = iteration;
}
