//! Which images an epoch has.

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
    /// Each class equally often, whatever its size: for data sets in which some classes have few images.
    /// Within a class, each image is drawn from all of them. An epoch is as long as one with
    /// [`WithReplacement`](Self::WithReplacement), and in it the numbers of the classes differ by at most
    /// one. Classes without images are left out.
    Balanced,
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

impl Sampling {
    /// What happens to the images that are left over.
    pub(super) fn last_batch(self) -> LastBatch {
        match self {
            Sampling::Permutation(last) => last,
            Sampling::WithReplacement | Sampling::Balanced => LastBatch::Drop,
        }
    }
}
