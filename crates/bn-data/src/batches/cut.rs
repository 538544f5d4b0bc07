//! How the images of an epoch are cut into batches.

use std::ops::Range;

use super::sampling::LastBatch;
use crate::{
    batch_source::BatchState,
    error::{Error, Result},
};

/// The batches of an epoch as ranges of `0..images`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EpochCut {
    images: usize,
    batch_size: usize,
    batches: usize, // at least 1
    last: LastBatch,
}

impl EpochCut {
    /// Refuses an epoch without a batch. `op` names the caller in errors.
    pub(crate) fn new(
        op: &'static str,
        images: usize,
        batch_size: usize,
        last: LastBatch,
    ) -> Result<Self> {
        if images == 0 {
            return Err(Error::Empty { op });
        }
        let full_only = last == LastBatch::Drop;
        if batch_size == 0 || (full_only && batch_size > images) {
            return Err(Error::Setting {
                what: "the batch size",
                value: batch_size.to_string(),
                must_be: match full_only {
                    true => format!("at least 1 and at most {images}, the number of images"),
                    false => "at least 1".to_owned(),
                },
            });
        }
        let batches = match last {
            LastBatch::Keep => images.div_ceil(batch_size),
            LastBatch::Drop | LastBatch::Merge => (images / batch_size).max(1),
        };
        Ok(EpochCut {
            images,
            batch_size,
            batches,
            last,
        })
    }

    /// The number of batches.
    pub(crate) fn batches(&self) -> usize {
        self.batches
    }

    /// The images of the batch at `position`, which is below the number of batches.
    pub(crate) fn range(&self, position: usize) -> Range<usize> {
        let start = position * self.batch_size;
        let is_last = position + 1 == self.batches;
        let end = match is_last && self.last != LastBatch::Drop {
            true => self.images,
            false => start + self.batch_size,
        };
        start..end
    }

    /// The sizes of the batches, each once, the most frequent first.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![self.range(0).len(), self.range(self.batches - 1).len()];
        sizes.dedup();
        sizes
    }

    /// The size of the largest batch.
    pub(crate) fn largest(&self) -> usize {
        self.range(0).len().max(self.range(self.batches - 1).len())
    }

    /// Refuses a position that is not in the epoch.
    pub(crate) fn check(&self, state: BatchState) -> Result<()> {
        if state.position > self.batches {
            return Err(Error::Setting {
                what: "the position in the epoch",
                value: state.position.to_string(),
                must_be: format!("at most {}, the batches of an epoch", self.batches),
            });
        }
        Ok(())
    }
}
