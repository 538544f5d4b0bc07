//! Training on a data set: `fit` holds the settings and `options` sets them, `check` checks them, `run` trains
//! and `evaluate` evaluates, `state` is what a run continues from, `history` keeps the evaluations,
//! `callback` and `events` are how the caller follows a run. `strategy` is how several processes share one.

mod average;
mod callback;
mod check;
mod evaluate;
mod events;
mod fit;
mod history;
mod lr_finder;
mod monitor;
mod options;
mod progress;
mod run;
mod settings;
mod state;
mod strategy;

pub use average::{Averaging, WeightAverage};
pub use callback::{Callback, Training};
pub use fit::Trainer;
pub use history::{History, MetricRecord, Record};
pub use lr_finder::{LrFinder, LrPoint};
pub use monitor::{EarlyStop, Monitor, ReduceOnPlateau};
pub use settings::Length;
pub use strategy::Strategy;
