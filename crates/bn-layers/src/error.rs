/// Why a layer failed. The layer is unchanged then.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The shapes of arrays do not agree, an array is not in row-major order, there is no memory for one, or
    /// a setting is outside its range.
    #[error(transparent)]
    Tensor(#[from] bn_tensor::Error),
    /// The batch has no rows.
    #[error("{layer}: the batch is empty")]
    EmptyBatch {
        /// The layer that failed.
        layer: &'static str,
    },
    /// There is one value per channel, whose variance is zero and whose gradient vanishes.
    #[error(
        "{layer}: batch statistics need at least 2 values per channel, got {got}; \
         use a larger batch, merge the last batch into the one before it, or evaluate with Mode::Eval"
    )]
    TooFewValues {
        /// The layer that failed.
        layer: &'static str,
        /// Values per channel.
        got: usize,
    },
    /// There was no forward pass of the same rows before the backward pass.
    #[error("{layer}: backward needs a forward of the same {expected} rows first, got {got}")]
    NoForward {
        /// The layer that failed.
        layer: &'static str,
        /// Rows of the last forward pass (0 if there was none).
        expected: usize,
        /// Rows of the backward pass.
        got: usize,
    },
    /// A layer of images follows a layer of vectors.
    #[error(
        "{layer} takes images, and rows of {size} values have no height and width: reshape them"
    )]
    NotImages {
        /// The layer that failed.
        layer: &'static str,
        /// Values in a row.
        size: usize,
    },
    /// A running mean or variance is not finite in the element type: the input has a NaN, an infinity, or
    /// values that differ too much.
    #[error(
        "BatchNormalization: the {what} of channel {channel} is {value:e}, which {scalar} cannot hold; \
         scale the input down, or use a smaller learning rate"
    )]
    Statistics {
        /// `mean` or `variance`.
        what: &'static str,
        /// The channel.
        channel: usize,
        /// The value.
        value: f64,
        /// The element type.
        scalar: &'static str,
    },
    /// [`Layer::settle`](crate::Layer::settle) was not called between two training passes.
    #[error(
        "{layer}: the last training pass was never settled; a layer that holds other layers must \
         pass `Layer::settle` on to them"
    )]
    Unsettled {
        /// The layer that failed.
        layer: &'static str,
    },
    /// The other shards of a batch cannot be reached, or do not agree with this one.
    #[error("the batch's other shards: {reason}")]
    Shards {
        /// What went wrong.
        reason: String,
    },
    /// No layer can be made from this description.
    #[error("cannot make the layer {layer}: {reason}")]
    Spec {
        /// The layer's type.
        layer: String,
        /// Why not.
        reason: String,
    },
    /// The build has no LAPACK.
    #[error("{what} needs LAPACK: build with the features `lapack` and `openblas`")]
    NoLapack {
        /// What needs it.
        what: &'static str,
    },
    /// A layer that contains others, such as a network, failed with an error of another type.
    #[error("{reason}")]
    Nested {
        /// The message of that error.
        reason: String,
    },
    /// LAPACK failed, as it does for NaN or infinite input.
    #[error("{what}: LAPACK failed: {reason}")]
    Lapack {
        /// What needs LAPACK.
        what: &'static str,
        /// LAPACK's message.
        reason: String,
    },
}

impl Error {
    /// [`bn_tensor::Error::ShapeMismatch`] from slices.
    pub fn shape(op: &'static str, expected: &[usize], got: &[usize]) -> Self {
        Self::Tensor(bn_tensor::Error::shape(op, expected, got))
    }
}
