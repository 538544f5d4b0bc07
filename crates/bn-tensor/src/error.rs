/// What the functions of this crate refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two arrays do not fit together.
    #[error("{op}: expected shape {expected:?}, got {got:?}")]
    ShapeMismatch {
        /// The function that refused.
        op: &'static str,
        /// The shape that would fit.
        expected: Vec<usize>,
        /// The shape that was given.
        got: Vec<usize>,
    },
    /// The kernel walks memory in order, and the array's elements are not in row-major order.
    #[error("{op}: the array is not contiguous in row-major order; pass `x.as_standard_layout()`")]
    NotContiguous {
        /// The function that refused.
        op: &'static str,
    },
    /// There are too few values for the figure that was asked for.
    #[error("{op}: needs at least {needed} values per channel, got {got}")]
    TooFewValues {
        /// The function that refused.
        op: &'static str,
        /// How many values the figure needs.
        needed: u64,
        /// How many there are.
        got: u64,
    },
    /// A window that cannot move over such images.
    #[error("{window}: {reason}")]
    Window {
        /// The window, its stride, the image and the padding.
        window: String,
        /// Why it cannot.
        reason: &'static str,
    },
    /// A pool of this size cannot be made.
    #[error("a pool of {threads} threads cannot be made: {reason}")]
    Pool {
        /// The size that was asked for.
        threads: usize,
        /// Why it cannot be made.
        reason: String,
    },
}

impl Error {
    /// [`Error::ShapeMismatch`] from slices.
    pub fn shape(op: &'static str, expected: &[usize], got: &[usize]) -> Self {
        Self::ShapeMismatch {
            op,
            expected: expected.to_vec(),
            got: got.to_vec(),
        }
    }
}

/// `Ok` when the two lengths agree.
pub(crate) fn same_len(op: &'static str, expected: usize, got: usize) -> Result<(), Error> {
    if expected == got {
        Ok(())
    } else {
        Err(Error::shape(op, &[expected], &[got]))
    }
}
