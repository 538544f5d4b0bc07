//! Training over a data set: `fit` does it, `settings` says for how long, `callback` lets the caller
//! look on, `history` records.

mod callback;
mod fit;
mod history;
mod progress;
mod settings;

pub use callback::Callback;
pub use fit::Trainer;
pub use history::{History, Record};
pub use settings::{EarlyStop, Length};
