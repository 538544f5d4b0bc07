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

/// A window that moves over channels-last images `(H, W, C)`, of a convolution or a pooling layer.
///
/// ```text
/// out = ⌊(size + padding − kernel) / stride⌋ + 1        of rows, and of columns
/// ```
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
    stride: usize,
    before: usize, // zeros
    after: usize,
    out: usize,
}

impl Window {
    /// Creates a window of `kernel = (rows, columns)` over images `(height, width, channels)`.
    ///
    /// # Errors
    /// [`Error::Window`] for an empty image or kernel, a stride of 0, a kernel larger than the padded
    /// image, or more values in the image, in the window or at its positions than can be addressed.
    pub fn new(
        image: (usize, usize, usize),
        kernel: (usize, usize),
        stride: (usize, usize),
        padding: Padding,
    ) -> Result<Self, Error> {
        let (height, width, channels) = image;
        let refused = |reason| Error::Window {
            window: format!(
                "a window of {kernel:?} moved by {stride:?} over images of {image:?}, padding {padding:?}"
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
        let rows = Axis::new(height, kernel.0, stride.0, vertical).map_err(refused)?;
        let columns = Axis::new(width, kernel.1, stride.1, horizontal).map_err(refused)?;
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

    /// `(rows, columns)` of the window.
    pub fn kernel(&self) -> (usize, usize) {
        (self.rows.kernel, self.columns.kernel)
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
    /// the first of them.
    pub fn clip_rows(&self, row: usize) -> (Range<usize>, usize) {
        self.rows.clip(row)
    }

    /// As [`clip_rows`](Self::clip_rows), for columns.
    pub fn clip_columns(&self, column: usize) -> (Range<usize>, usize) {
        self.columns.clip(column)
    }

    /// The row of positions at which row `k` of the window is at image row `y`, if there is one.
    pub(crate) fn place_row(&self, y: usize, k: usize) -> Option<usize> {
        let moved = (y + self.rows.before).checked_sub(k)?;
        let row = moved / self.rows.stride;
        (moved.is_multiple_of(self.rows.stride) && row < self.rows.out).then_some(row)
    }
}

impl Axis {
    fn new(
        size: usize,
        kernel: usize,
        stride: usize,
        padding: Option<(usize, usize)>,
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
        let (before, after) = padding.unwrap_or_else(|| {
            // Does not overflow, whatever the kernel.
            let reach = ((size - 1) / stride * stride).saturating_add(kernel);
            let all = reach.saturating_sub(size);
            (all / 2, all - all / 2)
        });
        let padded = size.checked_add(before).and_then(|s| s.checked_add(after));
        let padded = padded.ok_or("the padding is too large")?;
        let room = padded
            .checked_sub(kernel)
            .ok_or("the kernel is larger than the padded image")?;
        Ok(Self {
            size,
            kernel,
            stride,
            before,
            after,
            out: room / stride + 1,
        })
    }

    fn is_pointwise(&self) -> bool {
        (self.kernel, self.stride, self.before, self.after) == (1, 1, 0, 0)
    }

    fn clip(&self, position: usize) -> (Range<usize>, usize) {
        let begin = position * self.stride; // in the padded image
        let first = self.before.saturating_sub(begin).min(self.kernel);
        let end = (self.before + self.size).saturating_sub(begin);
        let range = first..end.min(self.kernel).max(first);
        let start = (begin + first).saturating_sub(self.before);
        (range, start.min(self.size)) // beyond the image the range is empty
    }
}
