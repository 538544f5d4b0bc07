/// Why a function of this crate failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The shapes of two arrays do not agree.
    #[error("{op}: expected shape {expected:?}, got {got:?}")]
    ShapeMismatch {
        /// The function that failed.
        op: &'static str,
        /// The shape that is needed.
        expected: Vec<usize>,
        /// The shape that was passed.
        got: Vec<usize>,
    },
    /// The kernel reads memory in order, and the array's elements are not in row-major order.
    #[error("{op}: the array is not contiguous in row-major order; pass `x.as_standard_layout()`")]
    NotContiguous {
        /// The function that failed.
        op: &'static str,
    },
    /// There are too few values for the requested statistic.
    #[error("{op}: needs at least {needed} values per channel, got {got}")]
    TooFewValues {
        /// The function that failed.
        op: &'static str,
        /// The number of values that the statistic needs.
        needed: u64,
        /// The number of values that there are.
        got: u64,
    },
    /// A setting is outside its range.
    #[error("{what} must be {range}, got {got}")]
    InvalidSetting {
        /// The name of the setting.
        what: &'static str,
        /// The allowed values.
        range: &'static str,
        /// The value that was passed.
        got: f64,
    },
    /// A window that cannot move over such images.
    #[error("{window}: {reason}")]
    Window {
        /// The window, its stride, the image and the padding.
        window: String,
        /// Why it cannot.
        reason: &'static str,
    },
    /// A thread pool of this size cannot be created.
    #[error("a pool of {threads} threads cannot be made: {reason}")]
    Pool {
        /// The requested number of threads.
        threads: usize,
        /// Why the pool cannot be created.
        reason: String,
    },
    /// There is no memory for an array.
    #[error(
        "{what}: an array of shape {shape:?} takes {bytes:.1e} bytes, more than can be allocated; \
         use smaller sizes"
    )]
    TooLarge {
        /// The array, or the function that needs it.
        what: &'static str,
        /// The shape of the array.
        shape: Vec<usize>,
        /// The number of bytes, rounded.
        bytes: f64,
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

/// Returns `Ok` if the two lengths are equal.
pub(crate) fn same_len(op: &'static str, expected: usize, got: usize) -> Result<(), Error> {
    if expected == got {
        Ok(())
    } else {
        Err(Error::shape(op, &[expected], &[got]))
    }
}

/// Returns `Ok` if the setting `what` passes its check, and else an error that names its `range`
/// and the `value` that was passed.
///
/// ```
/// use bn_tensor::check_setting;
/// let check = |ratio: f64| {
///     let passes = (0.0..1.0).contains(&ratio);
///     check_setting("dropout ratio", "at least 0 and below 1", ratio, passes)
/// };
/// assert!(check(0.5).is_ok());
/// let error = check(1.5).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "dropout ratio must be at least 0 and below 1, got 1.5"
/// );
/// ```
///
/// # Errors
/// [`Error::InvalidSetting`] if `passes` is false.
pub fn check_setting(
    what: &'static str,
    range: &'static str,
    value: f64,
    passes: bool,
) -> Result<(), Error> {
    if passes {
        return Ok(());
    }
    Err(Error::InvalidSetting {
        what,
        range,
        got: value,
    })
}
