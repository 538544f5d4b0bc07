//! The position in the stream of mini-batches, in a checkpoint.

use super::checkpoint::Checkpoint;
use crate::error::Error;
use bn_data::BatchState;

impl Checkpoint {
    /// Adds the position in the stream of mini-batches.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the name is taken.
    pub fn add_batches(&mut self, name: &str, state: BatchState) -> Result<(), Error> {
        self.add_value(name, &(state.seed, state.epoch, state.position))
    }

    /// The position in the stream of mini-batches, for
    /// [`Batches::restore`](bn_data::Batches::restore).
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if there is none of this name.
    pub fn batches(&self, name: &str) -> Result<BatchState, Error> {
        let (seed, epoch, position) = self.value(name)?;
        Ok(BatchState {
            seed,
            epoch,
            position,
        })
    }
}
