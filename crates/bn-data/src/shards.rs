//! Data sets larger than memory: shards in files.

mod ahead;
mod batches;
mod files;
mod stream;
mod write;

pub use batches::ShardedBatches;
pub use write::{ShardWriter, write_shards};
