//! What a training run takes its mini-batches from.

use bn_tensor::Scalar;
use ndarray::ArrayView2;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::{error::Result, targets::Targets};

/// Some images with their targets, borrowed from a [`Dataset`](crate::Dataset) or from the buffer of a
/// [`BatchSource`].
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a, T: Scalar = f32> {
    /// The images, flattened, channels-last: `(B, H*W*C)`.
    pub images: ArrayView2<'a, T>,
    /// The labels `(B)` or the values `(B, E)`.
    pub targets: Targets<'a, T>,
}

impl<'a, T: Scalar> Batch<'a, T> {
    /// The labels `(B)`; empty if the targets are values.
    #[must_use]
    pub fn labels(&self) -> &'a [usize] {
        self.targets.labels()
    }

    /// The number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.images.nrows()
    }

    /// Whether there are no images.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The position in a stream of mini-batches. With the data, the batch size and the sampling, it
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

impl BatchState {
    /// The start of the first epoch.
    pub(crate) fn new(seed: u64) -> Self {
        BatchState {
            seed,
            epoch: 0,
            position: 0,
        }
    }

    /// The start of the next epoch.
    pub(crate) fn next_epoch(self) -> Self {
        BatchState {
            epoch: self.epoch.wrapping_add(1),
            position: 0,
            ..self
        }
    }

    /// The generator of the epoch, which does not depend on the epochs before it.
    pub(crate) fn epoch_generator(self) -> Xoshiro256PlusPlus {
        let key = Xoshiro256PlusPlus::seed_from_u64(self.seed).next_u64();
        Xoshiro256PlusPlus::seed_from_u64(key.wrapping_add(self.epoch))
    }
}

/// A stream of mini-batches, epoch after epoch, that can be resumed from any position.
///
/// [`Batches`](crate::Batches) reads a data set in memory, and [`Augmented`](crate::Augmented) changes the
/// images of another source at random. A source of your own, such as a database,
/// implements this trait, and whatever trains takes it as `&mut dyn BatchSource`.
///
/// A source must return the same bits for the same [`BatchState`], also in the middle of an epoch;
/// otherwise a resumed run differs from one that was never interrupted.
///
/// ```
/// use bn_data::{BatchSource, Batches, Digits, Error};
///
/// /// The number of images of an epoch, from any source.
/// fn count(source: &mut dyn BatchSource) -> Result<usize, Error> {
///     let mut images = 0;
///     while let Some(batch) = source.next_batch()? {
///         images += batch.len();
///     }
///     Ok(images)
/// }
///
/// # fn main() -> Result<(), Error> {
/// let (train, _test) = Digits::load()?.into_parts();
/// assert_eq!(count(&mut Batches::new(&train, 100, 42)?)?, 1415);
/// # Ok(()) }
/// ```
pub trait BatchSource<T: Scalar = f32> {
    /// The next batch, or `None` at the end of the epoch; the next call then starts the next epoch.
    ///
    /// # Errors
    ///
    /// Those of reading the data. The position is then unchanged.
    fn next_batch(&mut self) -> Result<Option<Batch<'_, T>>>;

    /// The number of batches of an epoch, at least 1.
    fn batches_per_epoch(&self) -> usize;

    /// The numbers of images that a batch can have, each once, the most frequent first. A trainer tries
    /// each of them before it starts.
    fn batch_sizes(&self) -> Vec<usize>;

    /// Height, width and channels of an image, `(H, W, C)`; `(1, 1, D)` for rows that are not images.
    fn image_shape(&self) -> (usize, usize, usize);

    /// The row of the whole batch at which the next batch begins, if the source returns a
    /// [part](crate::BatchPart) of each. By default it is 0.
    fn first_row(&self) -> usize {
        0
    }

    /// The position in the stream, for a checkpoint.
    fn state(&self) -> BatchState;

    /// Continues from `state`, as if all batches before it had been returned. The data and the settings
    /// must be the same as when `state` was read.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if an epoch has fewer batches than `state.position`; the
    /// position is unchanged then.
    fn restore(&mut self, state: BatchState) -> Result<()>;
}

/// A source can also be lent.
impl<S: BatchSource<T> + ?Sized, T: Scalar> BatchSource<T> for &mut S {
    fn next_batch(&mut self) -> Result<Option<Batch<'_, T>>> {
        (**self).next_batch()
    }

    fn batches_per_epoch(&self) -> usize {
        (**self).batches_per_epoch()
    }

    fn batch_sizes(&self) -> Vec<usize> {
        (**self).batch_sizes()
    }

    fn image_shape(&self) -> (usize, usize, usize) {
        (**self).image_shape()
    }

    fn first_row(&self) -> usize {
        (**self).first_row()
    }

    fn state(&self) -> BatchState {
        (**self).state()
    }

    fn restore(&mut self, state: BatchState) -> Result<()> {
        (**self).restore(state)
    }
}
