//! What Prometheus reads.

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use std::{fmt, time::Duration};

/// The media type of [`Metrics::text`].
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Durations = Family<Path, Histogram, fn() -> Histogram>;

pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    durations: Durations,
    /// Rows of predictions.
    pub(crate) rows: Counter,
    /// Rows that were evaluated together.
    pub(crate) batches: Histogram,
    /// Rows that wait.
    pub(crate) queue: Gauge,
    /// Open connections.
    pub(crate) connections: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Path {
    path: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    path: String,
    status: u16,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let durations = Durations::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.0001, 2.0, 18)) // to 13 s
        });
        let metrics = Self {
            registry: Registry::with_prefix("bn"),
            requests: Family::default(),
            durations,
            rows: Counter::default(),
            batches: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            queue: Gauge::default(),
            connections: Gauge::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        let (requests, rows) = (self.requests.clone(), self.rows.clone());
        registry.register("requests", "Answered requests by path and status", requests);
        registry.register("rows", "Images and rows that were classified", rows);
        registry.register_with_unit(
            "request_duration",
            "Time from the head of a request to its answer",
            Unit::Seconds,
            self.durations.clone(),
        );
        let (batches, queue) = (self.batches.clone(), self.queue.clone());
        registry.register("batch_rows", "Rows that were evaluated together", batches);
        registry.register("queue_rows", "Rows that wait for the network", queue);
        let connections = self.connections.clone();
        registry.register("connections", "Open connections", connections);
        self
    }

    pub(crate) fn answered(&self, path: &str, status: u16, time: Duration) {
        let path = path.to_owned();
        let durations = self.durations.get_or_create(&Path { path: path.clone() });
        durations.observe(time.as_secs_f64());
        self.requests
            .get_or_create(&Answered { path, status })
            .inc();
    }

    /// All of them as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
