/// What the layers refuse. After any of these a layer is as it was before the call.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Arrays that do not fit together, or whose memory is not in row-major order; a setting outside
    /// its range.
    #[error(transparent)]
    Tensor(#[from] bn_tensor::Error),
    /// A batch without a single row.
    #[error("{layer}: the batch is empty")]
    EmptyBatch {
        /// The layer that refused.
        layer: &'static str,
    },
    /// One value per channel: its variance is zero and its gradient vanishes.
    #[error(
        "{layer}: batch statistics need at least 2 values per channel, got {got}; \
         use a larger batch, merge the last batch into the one before it, or evaluate with Mode::Eval"
    )]
    TooFewValues {
        /// The layer that refused.
        layer: &'static str,
        /// Values per channel.
        got: usize,
    },
    /// `backward` without the `forward` whose gradient it would be.
    #[error("{layer}: backward needs a forward of the same {expected} rows first, got {got}")]
    NoForward {
        /// The layer that refused.
        layer: &'static str,
        /// Rows of the last forward (0: there was none).
        expected: usize,
        /// Rows given to backward.
        got: usize,
    },
    /// A layer of images that was given vectors.
    #[error(
        "{layer} takes images, and rows of {size} values have no height and width: reshape them"
    )]
    NotImages {
        /// The layer that refused.
        layer: &'static str,
        /// Values in a row.
        size: usize,
    },
    /// A running mean or variance that is not finite in the element type: the input holds a NaN or
    /// an infinity, or values too far apart.
    #[error(
        "BatchNormalization: the {what} of channel {channel} is {value:e}, which {scalar} cannot hold; \
         scale the input down, or use a smaller learning rate"
    )]
    Statistics {
        /// `mean` or `variance`.
        what: &'static str,
        /// The channel.
        channel: usize,
        /// What it would be.
        value: f64,
        /// The element type.
        scalar: &'static str,
    },
    /// Another forward pass, although nobody said how the step of the last training pass ended.
    #[error(
        "{layer}: the last training pass was never settled; a layer that holds other layers must \
         pass `Layer::settle` on to them"
    )]
    Unsettled {
        /// The layer that refused.
        layer: &'static str,
    },
    /// The other shards of a batch cannot be reached, or do not fit.
    #[error("the batch's other shards: {reason}")]
    Shards {
        /// What went wrong.
        reason: String,
    },
    /// A description of a layer from which none can be made.
    #[error("cannot make the layer {layer}: {reason}")]
    Spec {
        /// The layer's type.
        layer: String,
        /// Why not.
        reason: String,
    },
    /// The build lacks what this needs.
    #[error("{what} needs LAPACK: build with the features `lapack` and `openblas`")]
    NoLapack {
        /// What was asked for.
        what: &'static str,
    },
    /// A layer made of others, such as a network, refused in words of its own.
    #[error("{reason}")]
    Nested {
        /// Its words.
        reason: String,
    },
    /// LAPACK gave up, which it does for NaN or infinite input.
    #[error("{what}: LAPACK failed: {reason}")]
    Lapack {
        /// What was asked for.
        what: &'static str,
        /// LAPACK's own words.
        reason: String,
    },
}

impl Error {
    /// [`bn_tensor::Error::ShapeMismatch`] from slices.
    pub fn shape(op: &'static str, expected: &[usize], got: &[usize]) -> Self {
        Self::Tensor(bn_tensor::Error::shape(op, expected, got))
    }
}
