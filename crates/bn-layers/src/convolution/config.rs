use crate::error::Error;
use bn_tensor::{Padding, check_setting};

/// The settings of a [`Conv2d`](crate::Conv2d) or a [`ConvTranspose2d`](crate::ConvTranspose2d).
///
/// ```
/// use bn_layers::{Conv2dConfig, Padding};
/// let config = Conv2dConfig::new(64, 3).stride(2).same().without_bias();
/// assert_eq!((config.filters, config.kernel, config.stride), (64, (3, 3), (2, 2)));
/// assert_eq!((config.padding, config.bias), (Padding::Same, false));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dConfig {
    /// Channels of the output.
    pub filters: usize,
    /// Rows and columns of the window.
    pub kernel: (usize, usize),
    /// The distance between two positions of the window, down and across.
    pub stride: (usize, usize),
    /// Around the image; of a transposed convolution, around its output.
    pub padding: Padding,
    /// Rows and columns that a transposed convolution adds at the bottom and the right of its output
    /// (PyTorch's `output_padding`); less than the stride. It must be 0 for [`Padding::Same`], which
    /// determines the size of the output, and for a `Conv2d`.
    pub output_padding: (usize, usize),
    /// Whether each output channel has a bias.
    pub bias: bool,
}

impl Conv2dConfig {
    /// This many filters of a square window, with a stride of 1, without padding, with a bias.
    pub fn new(filters: usize, kernel: usize) -> Self {
        Self {
            filters,
            kernel: (kernel, kernel),
            stride: (1, 1),
            padding: Padding::Valid,
            output_padding: (0, 0),
            bias: true,
        }
    }

    /// Sets the stride, down and across.
    #[must_use]
    pub fn stride(self, stride: usize) -> Self {
        Self {
            stride: (stride, stride),
            ..self
        }
    }

    /// Sets Keras' padding `same`: the size of the output is `⌈size / stride⌉`, and that of a transposed
    /// convolution `size · stride`.
    #[must_use]
    pub fn same(self) -> Self {
        self.padding(Padding::Same)
    }

    /// Sets the padding.
    #[must_use]
    pub fn padding(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    /// Sets the [output padding](Self::output_padding), down and across.
    #[must_use]
    pub fn with_output_padding(self, rows_and_columns: usize) -> Self {
        Self {
            output_padding: (rows_and_columns, rows_and_columns),
            ..self
        }
    }

    /// Removes the bias. A BatchNormalization after the convolution would subtract it.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self {
            bias: false,
            ..self
        }
    }
}

/// Returns `Ok` if there is at least one filter.
pub(super) fn check_filters(filters: usize) -> Result<(), Error> {
    let (what, passes) = ("the number of filters", filters > 0);
    Ok(check_setting(what, "at least 1", filters as f64, passes)?)
}

/// Returns `Ok` if there is no output padding; `what` says whose it would be.
pub(super) fn check_no_output_padding(
    what: &'static str,
    (rows, columns): (usize, usize),
) -> Result<(), Error> {
    let most = rows.max(columns);
    Ok(check_setting(what, "0", most as f64, most == 0)?)
}
