//! Batch Normalization (arXiv:1502.03167): `config` selects one of the published variants;
//! `forward` and `backward` compute it on arrays that the caller owns, with a `cache` between them;
//! `layer` owns the arrays; `layout` says where in memory the channels are.

mod backward;
mod cache;
mod config;
mod extreme;
mod forward;
mod fused;
pub(crate) mod layer;
mod layout;
mod rescaled;
mod running;

pub use backward::batch_norm_backward;
pub use cache::BatchNormCache;
pub use config::{BatchNormConfig, RunningAverage};
pub use forward::{batch_norm_eval, batch_norm_train};
pub use layer::BatchNormalization;
pub use layout::Layout;
pub use running::RunningStats;
