//! A chain of layers: `chain` stores it, `passes` runs it forward and backward, `step` trains it, `eval`
//! evaluates it by `&self`, `fold` prepares it for inference, `as_layer` makes it a layer of other networks,
//! `spec` describes it.

mod adaptive_threads;
mod as_layer;
mod buffers;
mod chain;
mod eval;
mod fold;
mod identity;
mod passes;
mod spec;
mod step;

pub use chain::Network;
pub(crate) use chain::output_of;
pub use eval::Workspace;
pub(crate) use passes::Wanted;
pub(crate) use spec::check_weight_decay;
pub use spec::{NamedSpec, NetworkSpec};
