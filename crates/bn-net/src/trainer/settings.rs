use crate::error::Error;
use bn_tensor::check_setting;

/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// This many passes over the training set.
    Epochs(u64),
    /// This many training steps.
    Iterations(u64),
}

/// Ends training when the test loss (without a test set, the training loss) no longer falls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EarlyStop {
    /// Training ends after this many evaluations in a row without a new lowest loss. 0 counts
    /// as 1.
    pub patience: usize,
    /// A loss is a new lowest one if it is lower than the last one by more than this. At least 0
    /// and finite.
    pub min_delta: f64,
}

impl EarlyStop {
    pub(super) fn check(self) -> Result<(), Error> {
        let range = "a finite number, 0 or more";
        let passes = self.min_delta >= 0.0 && self.min_delta.is_finite();
        let what = "the min_delta of EarlyStop";
        Ok(check_setting(what, range, self.min_delta, passes)?)
    }
}
