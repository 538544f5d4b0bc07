use crate::{Dropout, Rectifier};

/// A layer so cheap that the layer before it computes it in its own pass over memory.
#[derive(Debug, Clone)]
pub enum Pointwise {
    /// [`Relu`](crate::Relu) or [`LeakyRelu`](crate::LeakyRelu).
    Rectifier(Rectifier),
    /// [`Dropout`].
    Dropout(Dropout),
    /// [`Reshape`](crate::Reshape), which has nothing to compute.
    Reshape,
}
