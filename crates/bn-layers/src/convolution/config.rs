use crate::error::Error;
use bn_tensor::{Padding, check_setting};

/// What a [`Conv2d`](crate::Conv2d) or a [`ConvTranspose2d`](crate::ConvTranspose2d) is like.
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
    /// How far the window moves, down and across.
    pub stride: (usize, usize),
    /// Around the image; of a transposed convolution, around its output.
    pub padding: Padding,
    /// Rows and columns that a transposed convolution with explicit padding adds at the bottom and
    /// the right (PyTorch's `output_padding`); less than the stride.
    pub output_padding: (usize, usize),
    /// Whether each output channel has a bias.
    pub bias: bool,
}

impl Conv2dConfig {
    /// So many filters of a square window, moved by 1, without padding, with a bias.
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

    /// Moved by this much, down and across.
    #[must_use]
    pub fn stride(self, stride: usize) -> Self {
        Self {
            stride: (stride, stride),
            ..self
        }
    }

    /// Padded as Keras' `same`: the output is `⌈size / stride⌉`, of a transposed convolution
    /// `size · stride`.
    #[must_use]
    pub fn same(self) -> Self {
        self.padding(Padding::Same)
    }

    /// Padded so.
    #[must_use]
    pub fn padding(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    /// As [`output_padding`](Self::output_padding), down and across.
    #[must_use]
    pub fn with_output_padding(self, rows_and_columns: usize) -> Self {
        Self {
            output_padding: (rows_and_columns, rows_and_columns),
            ..self
        }
    }

    /// Without a bias: for before a BatchNormalization, which would subtract it.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self {
            bias: false,
            ..self
        }
    }

    /// `Ok` when there is at least one filter.
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_filters(self.filters)
    }
}

/// `Ok` when there is at least one.
pub(super) fn check_filters(filters: usize) -> Result<(), Error> {
    let (what, passes) = ("the number of filters", filters > 0);
    Ok(check_setting(what, "at least 1", filters as f64, passes)?)
}
