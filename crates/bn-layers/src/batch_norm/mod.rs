//! Batch Normalization (arXiv:1502.03167): `config` says which of the published variants,
//! `functional` computes it for a caller who owns every array, `layer` owns them, `layout` says
//! where in memory the channels are.

mod config;
mod functional;
mod layer;
mod layout;

pub use config::{BatchNormConfig, RunningAverage};
pub use functional::{
    BatchNormCache, RunningStats, batch_norm_backward, batch_norm_eval, batch_norm_train,
};
pub use layer::BatchNormalization;
pub use layout::Layout;
