use crate::shards::{ShardReduction, ranges};
use std::ops::Range;

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
    first_row: usize,
}

impl<'a> Pass<'a> {
    /// A pass over a whole batch.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            reduction: None,
            freezes_statistics: false,
            first_row: 0,
        }
    }

    /// A pass over those shards of a batch that this process has.
    pub fn sharded(mode: Mode, reduction: &'a dyn ShardReduction) -> Self {
        Self {
            reduction: Some(reduction),
            first_row: reduction.first_row(),
            ..Self::new(mode)
        }
    }

    /// The part of this sharded pass that is over these rows. The parts of a pass follow each other.
    #[must_use]
    pub fn of_rows(self, rows: &Range<usize>) -> Self {
        Self {
            first_row: self.first_row + rows.start,
            ..self
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

    /// The shards among `rows` rows of this process: the rows of each. Without a reduction, all rows are one.
    pub fn shards(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<'a> {
        let of_shards = self.reduction.map(|reduction| ranges(reduction.rows()));
        let all = self.reduction.is_none().then_some(0..rows);
        of_shards.into_iter().flatten().chain(all)
    }

    /// The position of the first row in the whole batch, on which the mask of Dropout depends.
    pub fn first_row(&self) -> usize {
        self.first_row
    }

    /// Whether this is a later part of a pass that has begun, so that Dropout draws no new mask.
    pub fn continues(&self) -> bool {
        self.reduction
            .is_some_and(|reduction| self.first_row > reduction.first_row())
    }
}
