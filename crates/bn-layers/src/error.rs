/// What the layers refuse. After any of these a layer is as it was before the call.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Arrays that do not fit together, or whose memory is not in row-major order.
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
    /// A setting outside its range.
    #[error("{what} must be {range}, got {got}")]
    InvalidSetting {
        /// The setting.
        what: &'static str,
        /// What it may be.
        range: &'static str,
        /// What it was.
        got: f64,
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
    pub(crate) fn shape(op: &'static str, expected: &[usize], got: &[usize]) -> Self {
        Self::Tensor(bn_tensor::Error::shape(op, expected, got))
    }
}

/// `Ok` when `value` passes.
pub(crate) fn check_setting(
    what: &'static str,
    range: &'static str,
    value: f64,
    passes: bool,
) -> Result<(), Error> {
    if passes {
        return Ok(());
    }
    let got = value;
    Err(Error::InvalidSetting { what, range, got })
}
