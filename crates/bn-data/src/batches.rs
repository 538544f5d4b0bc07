//! Mini-batches, in random order, without an allocation per batch.

use bn_tensor::try_zeros;
use ndarray::{Array2, Axis, Slice};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::{
    dataset::{Batch, Dataset},
    error::{Error, Result},
};

/// How the images of an epoch are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// Each image once an epoch, in a new random order for each epoch.
    Permutation(LastBatch),
    /// Each image of each batch is drawn from all images, so that one may occur twice and another not at
    /// all: the book's `np.random.choice(train_size, batch_size)`. An epoch is
    /// `max(N / batch_size, 1)` batches, rounded down, all of them full: the book's
    /// `iter_per_epoch`.
    WithReplacement,
}

/// What happens to the images that are left over if the batch size does not divide N.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastBatch {
    /// They are a smaller batch.
    #[default]
    Keep,
    /// They are skipped in this epoch.
    Drop,
    /// They are added to the batch before, which then has up to `2 * batch_size - 1` images. No image is
    /// skipped, and no batch is smaller than the batch size (unless N is). Use it with
    /// BatchNormalization, which cannot train on a batch of one image.
    Merge,
}

/// The position in the stream of mini-batches. With the data set, the batch size and the sampling, it
/// determines all later batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchState {
    /// The seed of all epochs.
    pub seed: u64,
    /// The epoch, counted from 0.
    pub epoch: u64,
    /// The number of batches of the epoch that were returned.
    pub position: usize,
}

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
///         assert_eq!(batch.images.dim(), (batch.labels.len(), 64));
///         sizes.push(batch.labels.len());
///     }
///     assert_eq!(sizes, [100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 115]);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    data: &'a Dataset,
    batch_size: usize,
    sampling: Sampling,
    per_epoch: usize,
    state: BatchState,
    order: Vec<usize>,   // the images of the epoch, batch after batch
    images: Array2<f32>, // (largest batch, D)
    labels: Vec<usize>,  // (largest batch)
}

impl<'a> Batches<'a> {
    /// Batches of `batch_size` images, each image once an epoch. The last batch may be smaller.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without images, [`Error::Setting`] if `batch_size` is 0, [`Error::Tensor`] if there
    /// is no memory for a batch.
    pub fn new(data: &'a Dataset, batch_size: usize, seed: u64) -> Result<Self> {
        let sampling = Sampling::Permutation(LastBatch::Keep);
        Self::with_sampling(data, batch_size, sampling, seed)
    }

    /// Batches of `batch_size` images, chosen by `sampling`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); [`Error::Setting`] also if `batch_size` is above N and all batches have to be
    /// full ([`LastBatch::Drop`], [`Sampling::WithReplacement`]).
    pub fn with_sampling(
        data: &'a Dataset,
        batch_size: usize,
        sampling: Sampling,
        seed: u64,
    ) -> Result<Self> {
        let n = data.len();
        if n == 0 {
            return Err(Error::Empty { op: "Batches" });
        }
        let full_only = matches!(
            sampling,
            Sampling::Permutation(LastBatch::Drop) | Sampling::WithReplacement
        );
        if batch_size == 0 || (full_only && batch_size > n) {
            return Err(Error::Setting {
                what: "the batch size",
                value: batch_size.to_string(),
                must_be: match full_only {
                    true => format!("at least 1 and at most {n}, the number of images"),
                    false => "at least 1".to_owned(),
                },
            });
        }
        let per_epoch = match sampling {
            Sampling::Permutation(LastBatch::Keep) => n.div_ceil(batch_size),
            _ => (n / batch_size).max(1),
        };
        let drawn = match sampling {
            Sampling::Permutation(_) => n,
            Sampling::WithReplacement => per_epoch * batch_size,
        };
        let largest = match sampling {
            Sampling::Permutation(LastBatch::Merge) => n - (per_epoch - 1) * batch_size,
            _ => batch_size.min(n),
        };
        let mut batches = Batches {
            data,
            batch_size,
            sampling,
            per_epoch,
            state: BatchState {
                seed,
                epoch: 0,
                position: 0,
            },
            order: vec![0; drawn],
            images: try_zeros("Batches", (largest, data.images().ncols()))?,
            labels: vec![0; largest],
        };
        batches.draw_order();
        Ok(batches)
    }

    /// The next batch, or `None` at the end of the epoch; the next call then starts the next epoch.
    pub fn next_batch(&mut self) -> Option<Batch<'_>> {
        let position = self.state.position;
        if position == self.per_epoch {
            self.state.epoch = self.state.epoch.wrapping_add(1);
            self.state.position = 0;
            self.draw_order();
            return None;
        }
        self.state.position += 1;

        let start = position * self.batch_size;
        let is_last = self.state.position == self.per_epoch;
        let end = match self.sampling {
            Sampling::Permutation(LastBatch::Keep | LastBatch::Merge) if is_last => self.data.len(),
            _ => start + self.batch_size,
        };
        let indices = &self.order[start..end];
        let (images, labels) = (self.data.images(), self.data.labels());
        for ((mut row, label), &index) in self
            .images
            .outer_iter_mut()
            .zip(&mut self.labels)
            .zip(indices)
        {
            row.assign(&images.row(index));
            *label = labels[index];
        }
        Some(Batch {
            images: self
                .images
                .slice_axis(Axis(0), Slice::from(..indices.len())),
            labels: &self.labels[..indices.len()],
        })
    }

    /// The number of batches of an epoch.
    #[must_use]
    pub fn batches_per_epoch(&self) -> usize {
        self.per_epoch
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
    /// [`Error::Setting`] if an epoch has fewer batches than `state.position`; the position is unchanged
    /// then.
    pub fn restore(&mut self, state: BatchState) -> Result<()> {
        if state.position > self.per_epoch {
            return Err(Error::Setting {
                what: "the position in the epoch",
                value: state.position.to_string(),
                must_be: format!("at most {}, the batches of an epoch", self.per_epoch),
            });
        }
        self.state = state;
        self.draw_order();
        Ok(())
    }

    /// Chooses the images of the epoch.
    fn draw_order(&mut self) {
        let key = Xoshiro256PlusPlus::seed_from_u64(self.state.seed).next_u64();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(key.wrapping_add(self.state.epoch));
        match self.sampling {
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
