//! Files: checkpoints, and files that are written whole or not at all.

mod array;
mod batches;
mod checkpoint;
mod json;
mod model;
mod network;
#[cfg(feature = "npz")]
mod npz;
mod optimizer;
mod part;
mod whole;

pub use checkpoint::Checkpoint;
pub use model::Model;
pub(crate) use network::NetworkState;
pub(crate) use optimizer::OptimizerValues;
pub(crate) use whole::write_whole;
