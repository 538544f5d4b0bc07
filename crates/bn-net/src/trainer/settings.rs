/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// This many passes over the training set.
    Epochs(u64),
    /// This many training steps.
    Iterations(u64),
}
