//! Files: checkpoints, and writing whole files or none.

mod checkpoint;
mod parts;
mod whole;

pub use checkpoint::Checkpoint;
pub(crate) use whole::write_whole;
