//! Training on a data set: `fit` holds the settings and checks them, `run` trains and evaluates,
//! `history` keeps the evaluations, `callback` is how the caller follows a run.

mod callback;
mod fit;
mod history;
mod progress;
mod run;
mod settings;

pub use callback::Callback;
pub use fit::Trainer;
pub use history::{History, Record};
pub use settings::{EarlyStop, Length};
