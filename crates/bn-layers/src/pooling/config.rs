use bn_tensor::Padding;

/// The settings of a [`MaxPool2d`](crate::MaxPool2d) or an [`AvgPool2d`](crate::AvgPool2d). Pairs are
/// `(rows, columns)`.
///
/// ```
/// use bn_layers::{Layer, MaxPool2d, Padding, Pool2dConfig};
/// let config = Pool2dConfig::new(3).stride(2).padding(Padding::all(1));
/// let pool = MaxPool2d::with_config((112, 112, 64), config)?;
/// assert_eq!(Layer::<f32>::output_shape(&pool, (112, 112, 64).into())?, (56, 56, 64).into());
/// # Ok::<(), bn_layers::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool2dConfig {
    /// Pixels under the window.
    pub kernel: (usize, usize),
    /// The distance between two positions of the window.
    pub stride: (usize, usize),
    /// Around the image.
    pub padding: Padding,
    /// The distance between two pixels under the window; at 1 they are adjacent.
    pub dilation: (usize, usize),
    /// Whether the last window may extend beyond the image and its padding, so that no pixel is left out
    /// (PyTorch's `ceil_mode`). A window starts inside the image or its padding above and to the left.
    pub ceil_mode: bool,
    /// Whether an AvgPool2d counts the padding as zeros (PyTorch's `count_include_pad`); it must be false
    /// for a MaxPool2d. Pixels beyond the padding are never counted.
    pub counts_padding: bool,
}

impl Pool2dConfig {
    /// Adjacent windows of `size × size` pixels, without padding.
    pub fn new(size: usize) -> Self {
        Self {
            kernel: (size, size),
            stride: (size, size),
            padding: Padding::Valid,
            dilation: (1, 1),
            ceil_mode: false,
            counts_padding: false,
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

    /// Sets Keras' padding `same`: the size of the output is `⌈size / stride⌉`.
    #[must_use]
    pub fn same(self) -> Self {
        self.padding(Padding::Same)
    }

    /// Sets the padding.
    #[must_use]
    pub fn padding(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    /// Sets the [dilation](Self::dilation), down and across.
    #[must_use]
    pub fn dilation(self, dilation: usize) -> Self {
        Self {
            dilation: (dilation, dilation),
            ..self
        }
    }

    /// Lets the last window [extend beyond the image](Self::ceil_mode).
    #[must_use]
    pub fn ceil_mode(self) -> Self {
        Self {
            ceil_mode: true,
            ..self
        }
    }

    /// Lets an AvgPool2d [count the padding](Self::counts_padding).
    #[must_use]
    pub fn counting_padding(self) -> Self {
        Self {
            counts_padding: true,
            ..self
        }
    }
}
