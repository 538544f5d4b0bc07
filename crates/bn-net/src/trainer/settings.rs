/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// This many times through the training set.
    Epochs(u64),
    /// This many steps.
    Iterations(u64),
}

/// Ends training when the test loss (or, without a test set, the training loss) no longer falls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EarlyStop {
    /// End after this many evaluations in a row without a new lowest loss.
    pub patience: usize,
    /// A loss counts as lower only by more than this.
    pub min_delta: f64,
}
