//! Mini-batches from shards.

use std::path::Path;

use bn_tensor::{Scalar, checked_len};

use super::{files::Shard, stream::ShardStream};
use crate::{
    batch_source::{Batch, BatchSource, BatchState},
    batches::{BatchBuffer, EpochCut, LastBatch},
    error::{Error, Result},
};

const OP: &str = "ShardedBatches";

/// A stream of mini-batches from a data set on disk, which may be larger than memory.
///
/// [`ShardWriter`](crate::ShardWriter) and [`write_shards`](crate::write_shards) write the shards. In each
/// epoch the shards come in a new random order, and the images of a shard in a new random order too; a
/// batch may begin in one shard and end in the next. Each image occurs once an epoch.
///
/// While the batches of a shard are used, a thread reads the next shard. At most two shards are in memory.
/// The images of a batch come from one or two shards, so shuffle the data set before it is written if its
/// images are sorted, by class for example.
///
/// An error of the files is returned by [`next_batch`](BatchSource::next_batch), and the position stays
/// the same: the next call tries again.
///
/// ```
/// use bn_data::{BatchSource, Digits, LastBatch, ShardedBatches, write_shards};
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let (train, _test) = Digits::load()?.into_parts();
/// let folder = tempfile::tempdir()?;
/// write_shards(&train, folder.path(), 500)?;
///
/// let mut batches: ShardedBatches = ShardedBatches::open(folder.path(), 100, LastBatch::Merge, 42)?;
/// let mut images = 0;
/// while let Some(batch) = batches.next_batch()? {
///     images += batch.len();
/// }
/// assert_eq!(images, 1415);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct ShardedBatches<T: Scalar = f32> {
    stream: ShardStream<T>,
    cut: EpochCut,
    state: BatchState,
    shape: (usize, usize, usize), // (H, W, C)
    buffer: BatchBuffer<T>,
}

impl<T: Scalar> ShardedBatches<T> {
    /// Opens the shards in the folder. `last` says what happens to the images that are left over if the
    /// batch size does not divide their number.
    ///
    /// Values of the other scalar type are converted to `T`.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] if the folder has no shard; [`Error::Setting`] for a batch size of 0, or above the
    /// number of images if all batches have to be full ([`LastBatch::Drop`]); [`Error::InFile`] around the
    /// errors of IDX files, or if a shard is of another kind than the first; [`Error::Tensor`] if there is
    /// no memory for a batch.
    pub fn open(
        folder: impl AsRef<Path>,
        batch_size: usize,
        last: LastBatch,
        seed: u64,
    ) -> Result<Self> {
        let folder = folder.as_ref();
        let shards = Shard::find(folder)?;
        let Some(first) = shards.first() else {
            return Err(Error::Empty { op: OP }.in_file(folder));
        };
        for shard in &shards {
            shard
                .kind
                .check(first.kind)
                .map_err(|problem| problem.in_file(&shard.images()))?;
        }
        let images = shards.iter().map(|shard| shard.rows).sum();
        let cut = EpochCut::new(OP, images, batch_size, last)?;
        let state = BatchState::new(seed);
        let (height, width, channels) = first.kind.shape;
        let d = checked_len::<T>(OP, &[height, width, channels])?;
        let buffer = BatchBuffer::new(OP, cut.largest(), d, first.kind.outputs)?;
        Ok(ShardedBatches {
            shape: first.kind.shape,
            stream: ShardStream::new(shards, state)?,
            cut,
            state,
            buffer,
        })
    }
}

impl<T: Scalar> BatchSource<T> for ShardedBatches<T> {
    fn next_batch(&mut self) -> Result<Option<Batch<'_, T>>> {
        if self.state.position == self.cut.batches() {
            self.state = self.state.next_epoch();
            self.stream.start_epoch(self.state);
            return Ok(None);
        }
        let images = self.cut.range(self.state.position);
        let mut at = images.start;
        while at < images.end {
            let (data, indices) = self.stream.images_from(at)?;
            let indices = &indices[..indices.len().min(images.end - at)];
            self.buffer.gather(at - images.start, data, indices);
            at += indices.len();
        }
        self.state.position += 1;
        Ok(Some(self.buffer.batch(images.len())))
    }

    fn batches_per_epoch(&self) -> usize {
        self.cut.batches()
    }

    fn batch_sizes(&self) -> Vec<usize> {
        self.cut.sizes()
    }

    fn image_shape(&self) -> (usize, usize, usize) {
        self.shape
    }

    fn state(&self) -> BatchState {
        self.state
    }

    fn restore(&mut self, state: BatchState) -> Result<()> {
        self.cut.check(state)?;
        self.state = state;
        self.stream.start_epoch(state);
        Ok(())
    }
}
