//! Normalisations of each example by its own statistics: `normalization` has the settings and arrays
//! of all of them, and `passes` computes with the kernels of Batch Normalization; `layer_norm`,
//! `group_norm` and `instance_norm` say which values share statistics.

mod as_layer;
mod group_norm;
mod instance_norm;
mod layer_norm;
pub(crate) mod normalization;
mod passes;

pub use group_norm::GroupNorm;
pub use instance_norm::InstanceNorm;
pub use layer_norm::LayerNorm;
pub use normalization::{ExampleNorm, NormKind};
