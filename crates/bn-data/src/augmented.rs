//! Mini-batches whose images are changed at random.

use bn_tensor::{Scalar, checked_len, fill_pieces, to_row_major, try_zeros};
use ndarray::{Array2, Axis, Slice};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::{
    augmentation::Augmentation,
    batch_source::{Batch, BatchSource, BatchState},
    error::{Error, Result},
};

const OP: &str = "Augmented";

/// The mini-batches of another source, with an [`Augmentation`] of each image.
///
/// The changes of an image come from a generator of its own, which is made of the seed, the epoch, the
/// number of the batch in the epoch and the row in the whole batch. So the bits do not depend on the number of
/// threads, a resumed run continues with the same ones, and an image is changed differently in each epoch.
/// Nothing is allocated after construction, except what the source allocates.
///
/// Augment the training set only; evaluate on images as they are.
///
/// A loop over the batches needs no trainer. A batch is in a buffer that the next batch overwrites, so this is
/// a `while let` loop and not an [`Iterator`]:
///
/// ```
/// use bn_data::{Augmentation, Augmented, BatchSource, Batches, Digits};
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let (train, _test) = Digits::load()?.into_parts();
/// let augmentation = Augmentation::default().with_shift(1);
/// let mut batches = Augmented::new(Batches::new(&train, 100, 42)?, augmentation)?;
///
/// // The same images in each epoch, changed differently.
/// let mut sums = Vec::new();
/// for _epoch in 0..2 {
///     let (mut images, mut sum) = (0, 0.0);
///     while let Some(batch) = batches.next_batch()? {
///         images += batch.len();
///         sum += batch.images.sum();
///     }
///     assert_eq!(images, train.len());
///     sums.push(sum);
/// }
/// assert!(sums[0] != sums[1]);
/// assert!(sums[0] < train.images().sum()); // pixels were shifted out of the images
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Augmented<S, T: Scalar = f32> {
    source: S,
    augmentation: Augmentation,
    images: Array2<T>, // (largest batch, D)
}

impl<S: BatchSource<T>, T: Scalar> Augmented<S, T> {
    /// The batches of `source`, changed by `augmentation`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if a setting is out of range for images of this size;
    /// [`Error::Tensor`] if there is no memory for a batch.
    pub fn new(source: S, augmentation: Augmentation) -> Result<Self> {
        let (height, width, channels) = source.image_shape();
        augmentation.check::<T>(source.image_shape())?;
        let d = checked_len::<T>(OP, &[height, width, channels])?;
        let rows = source.batch_sizes().into_iter().max().unwrap_or(0);
        Ok(Augmented {
            source,
            augmentation,
            images: try_zeros(OP, (rows, d))?,
        })
    }

    /// The source of the images.
    #[must_use]
    pub fn source(&self) -> &S {
        &self.source
    }
}

impl<S: BatchSource<T>, T: Scalar> BatchSource<T> for Augmented<S, T> {
    fn next_batch(&mut self) -> Result<Option<Batch<'_, T>>> {
        let (state, shape) = (self.source.state(), self.source.image_shape());
        let first_row = self.source.first_row();
        let Some(batch) = self.source.next_batch()? else {
            return Ok(None);
        };
        let (most, d) = self.images.dim();
        if batch.len() > most || batch.images.ncols() != d {
            return Err(Error::ShapeMismatch {
                op: OP,
                expected: format!("(B, {d}) with at most {most} rows, as the source announced"),
                got: batch.images.shape().to_vec(),
            });
        }
        let key = key(state);
        let rows = Slice::from(..batch.len());
        let mut images = self.images.slice_axis_mut(Axis(0), rows);
        let from = to_row_major(OP, &batch.images)?;
        let (from, to) = (from.as_slice(), images.as_slice_mut());
        let (from, to) = from.zip(to).expect("both are in row-major order");
        fill_pieces(to, d, |row, to| {
            let row_of_batch = key.wrapping_add((first_row + row) as u64);
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(row_of_batch);
            let from = &from[row * d..(row + 1) * d];
            self.augmentation.apply(&mut rng, shape, from, to);
        });
        Ok(Some(Batch {
            images: self.images.slice_axis(Axis(0), rows),
            targets: batch.targets,
        }))
    }

    fn batches_per_epoch(&self) -> usize {
        self.source.batches_per_epoch()
    }

    fn batch_sizes(&self) -> Vec<usize> {
        self.source.batch_sizes()
    }

    fn image_shape(&self) -> (usize, usize, usize) {
        self.source.image_shape()
    }

    fn first_row(&self) -> usize {
        self.source.first_row()
    }

    fn state(&self) -> BatchState {
        self.source.state()
    }

    fn restore(&mut self, state: BatchState) -> Result<()> {
        self.source.restore(state)
    }
}

/// A number for the batch at this position, which no other batch is likely to have.
fn key(state: BatchState) -> u64 {
    let words = [state.seed, state.epoch, state.position as u64];
    words.into_iter().fold(0, |key, word| {
        Xoshiro256PlusPlus::seed_from_u64(key ^ word).next_u64()
    })
}
