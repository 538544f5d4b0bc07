use crate::{error::Error, memory::checked_len};
use std::ops::Range;

/// The zeros around an image that a window moves over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Padding {
    /// None.
    #[default]
    Valid,
    /// As many as give an output of `⌈size / stride⌉`. If their number is odd, the bottom and the right
    /// get one more, as in Keras and TensorFlow.
    Same,
    /// These numbers of rows and columns.
    Explicit {
        /// Rows above.
        top: usize,
        /// Rows below.
        bottom: usize,
        /// Columns to the left.
        left: usize,
        /// Columns to the right.
        right: usize,
    },
}

impl Padding {
    /// The same on all four sides: PyTorch's `padding=n`.
    pub fn all(n: usize) -> Self {
        Self::Explicit {
            top: n,
            bottom: n,
            left: n,
            right: n,
        }
    }
}

/// The size of a [`Window`], and how it moves over an image. Pairs are `(rows, columns)`.
///
/// ```
/// use bn_tensor::{Padding, Window, WindowConfig};
/// let config = WindowConfig {
///     dilation: (2, 2), // every other pixel of 5×5
///     ..WindowConfig::new((3, 3), (1, 1), Padding::Valid)
/// };
/// assert_eq!(Window::with_config((9, 9, 1), config)?.output(), (5, 5));
/// # Ok::<(), bn_tensor::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WindowConfig {
    /// Pixels under the window.
    pub kernel: (usize, usize),
    /// The distance between two positions of the window.
    pub stride: (usize, usize),
    /// Around the image.
    pub padding: Padding,
    /// The distance between two pixels under the window. At 1 they are adjacent.
    pub dilation: (usize, usize),
    /// Whether the window may extend beyond the padding at the bottom and the right, so that no pixel is
    /// left out. It starts inside the image or the padding above and to the left of it, as in PyTorch.
    pub ceil_mode: bool,
}

impl WindowConfig {
    /// A window without dilation, which stays inside the padded image.
    pub fn new(kernel: (usize, usize), stride: (usize, usize), padding: Padding) -> Self {
        Self {
            kernel,
            stride,
            padding,
            dilation: (1, 1),
            ceil_mode: false,
        }
    }
}

/// A window that moves over channels-last images `(H, W, C)`, of a convolution or a pooling layer.
///
/// ```text
/// reach = (kernel − 1)·dilation + 1
/// out   = ⌊(size + padding − reach) / stride⌋ + 1       of rows, and of columns
/// ```
///
/// In [ceil mode](WindowConfig::ceil_mode) the quotient is rounded up.
///
/// ```
/// use bn_tensor::{Padding, Window};
/// let window = Window::new((28, 28, 1), (3, 3), (2, 2), Padding::Same)?;
/// assert_eq!(window.output(), (14, 14));
/// assert_eq!(window.patch(), 9);
/// # Ok::<(), bn_tensor::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    channels: usize,
    rows: Axis,
    columns: Axis,
}

/// The window along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    size: usize,
    kernel: usize,
    dilation: usize, // 1 if the kernel is 1
    stride: usize,
    before: usize, // zeros
    after: usize,
    out: usize,
}

impl Window {
    /// Creates a window of `kernel = (rows, columns)` over images `(height, width, channels)`.
    ///
    /// # Errors
    /// As [`with_config`](Self::with_config).
    pub fn new(
        image: (usize, usize, usize),
        kernel: (usize, usize),
        stride: (usize, usize),
        padding: Padding,
    ) -> Result<Self, Error> {
        Self::with_config(image, WindowConfig::new(kernel, stride, padding))
    }

    /// Creates a window over images `(height, width, channels)`.
    ///
    /// # Errors
    /// [`Error::Window`] for an empty image or kernel, a stride or dilation of 0, a window larger than the
    /// padded image, or more values in the image, in the window or at its positions than can be addressed.
    pub fn with_config(image: (usize, usize, usize), config: WindowConfig) -> Result<Self, Error> {
        let (height, width, channels) = image;
        let WindowConfig {
            kernel,
            stride,
            padding,
            dilation,
            ceil_mode,
        } = config;
        let refused = |reason| Error::Window {
            window: format!(
                "a window of {kernel:?} moved by {stride:?} over images of {image:?}, padding {padding:?}, \
                 dilation {dilation:?}"
            ),
            reason,
        };
        if channels == 0 {
            return Err(refused("the image is empty"));
        }
        let (vertical, horizontal) = match padding {
            Padding::Valid => (Some((0, 0)), Some((0, 0))),
            Padding::Same => (None, None),
            Padding::Explicit {
                top,
                bottom,
                left,
                right,
            } => (Some((top, bottom)), Some((left, right))),
        };
        let axis = |size, kernel, dilation, stride, padding| {
            Axis::new(size, (kernel, dilation), stride, padding, ceil_mode).map_err(refused)
        };
        let rows = axis(height, kernel.0, dilation.0, stride.0, vertical)?;
        let columns = axis(width, kernel.1, dilation.1, stride.1, horizontal)?;
        let window = Self {
            channels,
            rows,
            columns,
        };
        match window.is_addressable() {
            true => Ok(window),
            false => Err(refused("there are more values than can be addressed")),
        }
    }

    /// Whether the values in the image, in the window and at its positions can be counted. What is computed
    /// from a window cannot overflow then.
    fn is_addressable(&self) -> bool {
        let Self {
            channels,
            rows,
            columns,
        } = *self;
        [
            [rows.size, columns.size, channels],
            [rows.kernel, columns.kernel, channels],
            [rows.out, columns.out, channels],
        ]
        .iter()
        .all(|shape| checked_len::<u8>("window", shape).is_ok())
    }

    /// `(height, width, channels)` of the image.
    pub fn image(&self) -> (usize, usize, usize) {
        (self.rows.size, self.columns.size, self.channels)
    }

    /// The number of positions of the window: `(rows, columns)`.
    pub fn output(&self) -> (usize, usize) {
        (self.rows.out, self.columns.out)
    }

    /// The pixels under the window: `(rows, columns)`.
    pub fn kernel(&self) -> (usize, usize) {
        (self.rows.kernel, self.columns.kernel)
    }

    /// The distance between two pixels under the window, down and to the right. It is 1 where the kernel
    /// is 1.
    pub fn dilation(&self) -> (usize, usize) {
        (self.rows.dilation, self.columns.dilation)
    }

    /// Rows and columns of the image from the first to the last pixel under the window, if nothing is
    /// clipped: `(kernel − 1)·dilation + 1`.
    pub fn reach(&self) -> (usize, usize) {
        (self.rows.reach(), self.columns.reach())
    }

    /// Zeros around the image, also those of [`Padding::Same`]: `[top, left, bottom, right]`.
    ///
    /// ```
    /// use bn_tensor::{Padding, Window};
    /// let window = Window::new((28, 28, 1), (3, 3), (2, 2), Padding::Same)?;
    /// assert_eq!(window.padding(), [0, 0, 1, 1]);
    /// # Ok::<(), bn_tensor::Error>(())
    /// ```
    pub fn padding(&self) -> [usize; 4] {
        let (rows, columns) = (&self.rows, &self.columns);
        [rows.before, columns.before, rows.after, columns.after]
    }

    /// Values in the window: `kernel rows · kernel columns · channels`.
    pub fn patch(&self) -> usize {
        self.rows.kernel * self.columns.kernel * self.channels
    }

    /// Values in an image.
    pub(crate) fn image_len(&self) -> usize {
        self.rows.size * self.columns.size * self.channels
    }

    /// The number of positions of the window.
    pub(crate) fn places(&self) -> usize {
        self.rows.out * self.columns.out
    }

    /// The distance between two positions, down and to the right.
    pub(crate) fn stride(&self) -> (usize, usize) {
        (self.rows.stride, self.columns.stride)
    }

    /// Zeros above and to the left of the image.
    pub(crate) fn before(&self) -> (usize, usize) {
        (self.rows.before, self.columns.before)
    }

    /// Whether each pixel is one patch, so that the patches of an image are the image.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.rows.is_pointwise() && self.columns.is_pointwise()
    }

    /// At the positions in row `row`: the rows of the window that lie in the image, and the image row of
    /// the first of them. The others follow at the distance of the [`dilation`](Self::dilation).
    pub fn clip_rows(&self, row: usize) -> (Range<usize>, usize) {
        self.rows.clip(row)
    }

    /// As [`clip_rows`](Self::clip_rows), for columns.
    pub fn clip_columns(&self, column: usize) -> (Range<usize>, usize) {
        self.columns.clip(column)
    }

    /// At the positions in row `row`: the number of rows of the window that lie in the image or its
    /// padding. These are all, except in [ceil mode](WindowConfig::ceil_mode).
    pub fn padded_rows(&self, row: usize) -> usize {
        self.rows.in_padding(row)
    }

    /// As [`padded_rows`](Self::padded_rows), for columns.
    pub fn padded_columns(&self, column: usize) -> usize {
        self.columns.in_padding(column)
    }

    /// The row of positions at which row `k` of the window is at image row `y`, if there is one.
    pub(crate) fn place_row(&self, y: usize, k: usize) -> Option<usize> {
        let moved = (y + self.rows.before).checked_sub(k * self.rows.dilation)?;
        let row = moved / self.rows.stride;
        (moved.is_multiple_of(self.rows.stride) && row < self.rows.out).then_some(row)
    }
}

impl Axis {
    fn new(
        size: usize,
        (kernel, dilation): (usize, usize),
        stride: usize,
        padding: Option<(usize, usize)>,
        ceil_mode: bool,
    ) -> Result<Self, &'static str> {
        if size == 0 {
            return Err("the image is empty");
        }
        if kernel == 0 {
            return Err("the kernel is empty");
        }
        if stride == 0 {
            return Err("the stride must be at least 1");
        }
        if dilation == 0 {
            return Err("the dilation must be at least 1");
        }
        let dilation = if kernel == 1 { 1 } else { dilation };
        let reach = (kernel - 1)
            .checked_mul(dilation)
            .map(|last| last.saturating_add(1));
        let reach = reach.ok_or("the dilated kernel is too large")?;
        let (before, after) = padding.unwrap_or_else(|| {
            // Does not overflow, whatever the kernel.
            let end = ((size - 1) / stride * stride).saturating_add(reach);
            let all = end.saturating_sub(size);
            (all / 2, all - all / 2)
        });
        let padded = size.checked_add(before).and_then(|s| s.checked_add(after));
        // Twice the padded size can be counted, so the sum of two places in it does not overflow.
        let padded = padded
            .filter(|&padded| padded <= isize::MAX as usize)
            .ok_or("the padding is too large")?;
        let room = padded.checked_sub(reach).ok_or(match dilation {
            1 => "the kernel is larger than the padded image",
            _ => "the dilated kernel is larger than the padded image",
        })?;
        let mut steps = room / stride;
        if ceil_mode && steps * stride < room && (steps + 1).saturating_mul(stride) < size + before
        {
            steps += 1;
        }
        Ok(Self {
            size,
            kernel,
            dilation,
            stride,
            before,
            after,
            out: steps + 1,
        })
    }

    fn is_pointwise(&self) -> bool {
        (self.kernel, self.stride, self.before, self.after) == (1, 1, 0, 0)
    }

    fn reach(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// How many of the pixels under the window lie in the next `len` of the image.
    #[inline(always)]
    fn count(&self, len: usize) -> usize {
        let count = match self.dilation {
            1 => len,
            dilation => len.div_ceil(dilation),
        };
        count.min(self.kernel)
    }

    fn clip(&self, position: usize) -> (Range<usize>, usize) {
        let begin = position * self.stride; // in the padded image
        let first = self.count(self.before.saturating_sub(begin));
        let end = self.count((self.before + self.size).saturating_sub(begin));
        let start = (begin + first * self.dilation).saturating_sub(self.before);
        (first..end.max(first), start.min(self.size)) // beyond the image the range is empty
    }

    fn in_padding(&self, position: usize) -> usize {
        let begin = position * self.stride;
        self.count((self.before + self.size + self.after).saturating_sub(begin))
    }
}
