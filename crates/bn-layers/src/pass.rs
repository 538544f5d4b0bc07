use crate::error::Error;
use bn_tensor::Moments;
use std::fmt::Debug;

/// What a forward pass is for. It is an argument of each call, never a global setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Normalise by the batch's statistics and apply Dropout; update the running statistics once the
    /// step has succeeded.
    Train,
    /// The same without updating the running statistics: for a gradient check, or for the images that
    /// a generator makes for its discriminator.
    BatchStats,
    /// Normalise by the running statistics, drop nothing, and change nothing.
    Eval,
}

/// Combines per-channel sums over the shards of one batch, such as micro-batches or the rows on
/// several machines. Batch Normalization passes its sums through it, so that a sharded batch is
/// normalised as a whole.
///
/// Every shard must make the same calls in the same order.
pub trait ShardReduction: Debug + Sync {
    /// Replaces the moments of this shard by those of the whole batch ([`Moments::merge`], in the
    /// order of the shards).
    ///
    /// # Errors
    /// [`Error::Shards`] if the other shards cannot be reached or do not fit.
    fn moments(&self, moments: &mut Moments) -> Result<(), Error>;

    /// Replaces the sums of this shard by those of the whole batch, added in the order of the
    /// shards.
    ///
    /// # Errors
    /// As [`moments`](Self::moments).
    fn sums(&self, sums: &mut [f64]) -> Result<(), Error>;
}

/// The context of a forward or backward pass: its mode and, if the batch is cut into shards, how
/// sums over the whole batch are formed.
///
/// ```
/// use bn_layers::{Mode, Pass};
/// let pass = Pass::new(Mode::Train);
/// assert_eq!(pass.mode(), Mode::Train);
/// assert!(pass.reduction().is_none());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Pass<'a> {
    mode: Mode,
    reduction: Option<&'a dyn ShardReduction>,
    freezes_statistics: bool,
}

impl<'a> Pass<'a> {
    /// A pass over a whole batch.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            reduction: None,
            freezes_statistics: false,
        }
    }

    /// A pass over one shard of a batch.
    pub fn sharded(mode: Mode, reduction: &'a dyn ShardReduction) -> Self {
        Self {
            mode,
            reduction: Some(reduction),
            freezes_statistics: false,
        }
    }

    /// The same pass through a frozen layer: in every mode, Batch Normalization normalises by its
    /// running statistics and does not update them (Keras' `trainable = False`). Other layers, such as
    /// Dropout, follow the mode.
    #[must_use]
    pub fn with_frozen_statistics(self) -> Self {
        Self {
            freezes_statistics: true,
            ..self
        }
    }

    /// What the pass is for.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether Batch Normalization uses its running statistics in every mode.
    pub fn freezes_statistics(&self) -> bool {
        self.freezes_statistics
    }

    /// How sums over all shards are formed; `None` if the pass is over a whole batch.
    pub fn reduction(&self) -> Option<&'a dyn ShardReduction> {
        self.reduction
    }
}
