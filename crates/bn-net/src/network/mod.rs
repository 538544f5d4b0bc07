//! A chain of layers: `chain` stores it, `passes` runs it forward and backward, `step` trains it, `eval`
//! evaluates it by `&self`, `classes` reads its outputs as classes, `fold` prepares it for inference, `freeze` says what
//! is not trained, `as_layer` makes it a layer of other networks,
//! `spec` describes it. `summary` prints it. `residual` and `concat` are layers of several networks, each a `branch`; `nested` finds these.
//! `shards` passes over a batch in shards, and `shard_gradients` gives their gradients to a caller who adds them.

mod accumulate;
mod adaptive_threads;
mod as_layer;
mod branch;
mod buffers;
mod chain;
mod classes;
mod concat;
mod eval;
mod fold;
mod freeze;
mod identity;
mod nested;
mod passes;
mod residual;
mod shard_gradients;
mod shards;
mod spec;
mod state_names;
mod step;
mod summary;
mod values;

pub use accumulate::Accumulator;
pub use chain::Network;
pub(crate) use chain::output_of;
pub(crate) use concat::Concat;
pub use eval::Workspace;
pub(crate) use passes::Wanted;
pub(crate) use residual::Residual;
pub use residual::ResidualSpec;
pub use shard_gradients::ShardGradients;
pub use shards::WeightedLoss;
pub(crate) use spec::check_weight_decay;
pub use spec::{NamedSpec, NetworkSpec};
pub use summary::{LayerSummary, Summary};
