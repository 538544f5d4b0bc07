//! Mini-batches, in random order, without an allocation per batch.

mod buffer;
mod by_class;
mod cut;
mod part;
mod sampling;

use bn_tensor::Scalar;
use rand::RngExt;
use rand::seq::SliceRandom;

use crate::{
    batch_source::{Batch, BatchSource, BatchState},
    dataset::Dataset,
    error::Result,
};
pub(crate) use buffer::BatchBuffer;
use by_class::ByClass;
pub(crate) use cut::EpochCut;
pub use part::BatchPart;
pub use sampling::{LastBatch, Sampling};

/// A stream of mini-batches from a [`Dataset`].
///
/// [`Batches::next_batch`] returns `None` once at the end of each epoch and then continues with the next
/// one. A batch is in a buffer that the next batch overwrites, so this is not an [`Iterator`], and nothing
/// is allocated after construction.
///
/// The order of epoch `e` comes from a generator of its own, Xoshiro256++ with
/// `seed_from_u64(k + e)`, where `k` is the first output of `seed_from_u64(seed)`; it is a
/// Fisher–Yates shuffle of `0..N` (rand's `SliceRandom::shuffle`). So an epoch does not depend on those
/// before it, and the same seed gives the same batches on every machine.
///
/// ```
/// use bn_data::{Batches, Digits, LastBatch, Sampling};
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let (train, _test) = Digits::load()?.into_parts(); // 1,415 images
/// let sampling = Sampling::Permutation(LastBatch::Merge);
/// let mut batches = Batches::with_sampling(&train, 100, sampling, 42)?;
/// for _epoch in 0..2 {
///     let mut sizes = Vec::new();
///     while let Some(batch) = batches.next_batch() {
///         assert_eq!(batch.images.dim(), (batch.labels().len(), 64));
///         sizes.push(batch.len());
///     }
///     assert_eq!(sizes, [100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 115]);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Batches<'a, T: Scalar = f32> {
    data: &'a Dataset<T>,
    sampling: Sampling,
    cut: EpochCut,
    state: BatchState,
    by_class: Option<ByClass>, // for `Sampling::Balanced`
    order: Vec<usize>,         // the images of the epoch, batch after batch
    part: BatchPart,           // of each batch
    buffer: BatchBuffer<T>,
}

impl<'a, T: Scalar> Batches<'a, T> {
    /// Batches of `batch_size` images, each image once an epoch. The last batch may be smaller.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`](crate::Error::Empty) without images, [`Error::Setting`](crate::Error::Setting) if
    /// `batch_size` is 0, [`Error::Tensor`](crate::Error::Tensor) if there is no memory for a batch.
    pub fn new(data: &'a Dataset<T>, batch_size: usize, seed: u64) -> Result<Self> {
        let sampling = Sampling::Permutation(LastBatch::Keep);
        Self::with_sampling(data, batch_size, sampling, seed)
    }

    /// Batches of `batch_size` images, chosen by `sampling`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); [`Error::Setting`](crate::Error::Setting) also if `batch_size` is above N and
    /// all batches have to be full ([`LastBatch::Drop`], [`Sampling::WithReplacement`],
    /// [`Sampling::Balanced`]); [`Error::NoLabels`](crate::Error::NoLabels) for [`Sampling::Balanced`] if
    /// the targets are values.
    pub fn with_sampling(
        data: &'a Dataset<T>,
        batch_size: usize,
        sampling: Sampling,
        seed: u64,
    ) -> Result<Self> {
        let cut = EpochCut::new("Batches", data.len(), batch_size, sampling.last_batch())?;
        let drawn = match sampling {
            Sampling::Permutation(_) => data.len(),
            Sampling::WithReplacement | Sampling::Balanced => cut.batches() * batch_size,
        };
        let by_class = match sampling {
            Sampling::Balanced => Some(ByClass::new(data)?),
            _ => None,
        };
        let d = data.images().ncols();
        let buffer = BatchBuffer::new("Batches", cut.largest(), d, data.outputs())?;
        let mut batches = Batches {
            data,
            sampling,
            cut,
            state: BatchState::new(seed),
            by_class,
            order: vec![0; drawn],
            part: BatchPart::default(),
            buffer,
        };
        batches.draw_order();
        Ok(batches)
    }

    /// Returns only a part of each batch: what one of several processes trains on. Epochs and batches are
    /// the same as without it.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`](crate::Error::Tensor) if there is no memory for a batch.
    pub fn with_part(mut self, part: BatchPart) -> Result<Self> {
        let sizes = self.cut.sizes().into_iter();
        let largest = sizes.map(|size| part.rows(size).len()).max().unwrap_or(0);
        let (d, outputs) = (self.data.images().ncols(), self.data.outputs());
        self.buffer = BatchBuffer::new("Batches", largest, d, outputs)?;
        self.part = part;
        Ok(self)
    }

    /// The next batch, or `None` at the end of the epoch; the next call then starts the next epoch.
    pub fn next_batch(&mut self) -> Option<Batch<'_, T>> {
        if self.state.position == self.cut.batches() {
            self.state = self.state.next_epoch();
            self.draw_order();
            return None;
        }
        let batch = &self.order[self.cut.range(self.state.position)];
        let indices = &batch[self.part.rows(batch.len())];
        self.buffer.gather(0, self.data, indices);
        self.state.position += 1;
        Some(self.buffer.batch(indices.len()))
    }

    /// The number of batches of an epoch.
    #[must_use]
    pub fn batches_per_epoch(&self) -> usize {
        self.cut.batches()
    }

    /// The position in the stream, for a checkpoint.
    #[must_use]
    pub fn state(&self) -> BatchState {
        self.state
    }

    /// Continues from `state`, as if all batches before it had been returned. The data set, the batch size
    /// and the sampling must be the same as when `state` was read.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if an epoch has fewer batches than `state.position`; the
    /// position is unchanged then.
    pub fn restore(&mut self, state: BatchState) -> Result<()> {
        self.cut.check(state)?;
        self.state = state;
        self.draw_order();
        Ok(())
    }

    /// Chooses the images of the epoch.
    fn draw_order(&mut self) {
        let mut rng = self.state.epoch_generator();
        match self.sampling {
            Sampling::Balanced => {
                let by_class = self.by_class.as_ref();
                by_class
                    .expect("it was created")
                    .draw(&mut rng, &mut self.order);
            }
            Sampling::Permutation(_) => {
                (0..).zip(&mut self.order).for_each(|(i, at)| *at = i);
                self.order.shuffle(&mut rng);
            }
            Sampling::WithReplacement => {
                let n = self.data.len();
                self.order.fill_with(|| rng.random_range(0..n));
            }
        }
    }
}

impl<T: Scalar> BatchSource<T> for Batches<'_, T> {
    fn next_batch(&mut self) -> Result<Option<Batch<'_, T>>> {
        Ok(Batches::next_batch(self))
    }

    fn batches_per_epoch(&self) -> usize {
        Batches::batches_per_epoch(self)
    }

    fn batch_sizes(&self) -> Vec<usize> {
        self.cut.sizes()
    }

    fn image_shape(&self) -> (usize, usize, usize) {
        self.data.image_shape()
    }

    fn first_row(&self) -> usize {
        match self.state.position == self.cut.batches() {
            true => 0, // the epoch is over
            false => {
                let batch = self.cut.range(self.state.position);
                self.part.rows(batch.len()).start
            }
        }
    }

    fn state(&self) -> BatchState {
        Batches::state(self)
    }

    fn restore(&mut self, state: BatchState) -> Result<()> {
        Batches::restore(self, state)
    }
}
