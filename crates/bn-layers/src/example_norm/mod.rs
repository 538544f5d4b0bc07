//! Normalisations of each example by its own statistics: `normalization` computes them all with the
//! channel kernels; `layer_norm`, `group_norm` and `instance_norm` say which values share statistics.

mod group_norm;
mod instance_norm;
mod layer_norm;
mod normalization;

pub use group_norm::GroupNorm;
pub use instance_norm::InstanceNorm;
pub use layer_norm::LayerNorm;
pub use normalization::{ExampleNorm, NormKind};
