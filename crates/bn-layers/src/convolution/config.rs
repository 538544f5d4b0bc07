use crate::error::Error;
use bn_tensor::{Padding, WindowConfig, check_setting};

/// The settings of a [`Conv2d`](crate::Conv2d) or a [`ConvTranspose2d`](crate::ConvTranspose2d).
///
/// ```
/// use bn_layers::{Conv2dConfig, Padding};
/// let config = Conv2dConfig::new(64, 3).stride(2).same().without_bias();
/// assert_eq!((config.filters, config.kernel, config.stride), (64, (3, 3), (2, 2)));
/// assert_eq!((config.padding, config.bias), (Padding::Same, false));
/// // One filter of 3×3 pixels for each of 64 channels.
/// let depthwise = Conv2dConfig::depthwise(64, 1, 3);
/// assert_eq!((depthwise.filters, depthwise.groups), (64, 64));
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
    /// The distance between two pixels under the window, down and across (PyTorch's `dilation`, Keras'
    /// `dilation_rate`); 1 is the usual window.
    pub dilation: (usize, usize),
    /// The number of groups that the channels and the filters are divided into (PyTorch's and Keras'
    /// `groups`). The filters of a group see only the channels of this group. It must divide both.
    pub groups: usize,
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
            dilation: (1, 1),
            groups: 1,
            bias: true,
        }
    }

    /// `multiplier` filters for each of `channels` channels, which see only this channel: a depthwise
    /// convolution (Keras' `DepthwiseConv2D` with this `depth_multiplier`). Filters `c·multiplier` and
    /// following are those of channel `c`, so Keras' kernel `(rows, columns, in, multiplier)` has the same
    /// values in the same order.
    pub fn depthwise(channels: usize, multiplier: usize, kernel: usize) -> Self {
        Self::new(channels.saturating_mul(multiplier), kernel).groups(channels)
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

    /// Sets the [dilation](Self::dilation), down and across.
    #[must_use]
    pub fn dilation(self, dilation: usize) -> Self {
        Self {
            dilation: (dilation, dilation),
            ..self
        }
    }

    /// Sets the number of [groups](Self::groups).
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// Removes the bias. A BatchNormalization after the convolution would subtract it.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self {
            bias: false,
            ..self
        }
    }

    /// The window over an image.
    pub(super) fn window(&self) -> WindowConfig {
        WindowConfig {
            dilation: self.dilation,
            ..WindowConfig::new(self.kernel, self.stride, self.padding)
        }
    }

    /// Returns `Ok` if there are filters, and the groups divide them and the `channels` of the image.
    pub(super) fn check(&self, channels: usize) -> Result<(), Error> {
        let Self {
            filters, groups, ..
        } = *self;
        let what = "the number of filters";
        check_setting(what, "at least 1", filters as f64, filters > 0)?;
        let divides =
            groups > 0 && channels.is_multiple_of(groups) && filters.is_multiple_of(groups);
        let range = "a divisor of the channels and of the filters";
        Ok(check_setting(
            "the number of groups",
            range,
            groups as f64,
            divides,
        )?)
    }
}

/// Returns `Ok` if there is no output padding; `what` says whose it would be.
pub(super) fn check_no_output_padding(
    what: &'static str,
    (rows, columns): (usize, usize),
) -> Result<(), Error> {
    let most = rows.max(columns);
    Ok(check_setting(what, "0", most as f64, most == 0)?)
}
