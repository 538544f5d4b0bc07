use crate::error::Error;
use bn_tensor::checked_len;
use serde::{Deserialize, Serialize};

/// The shape of a row of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Shape {
    /// A vector of this many values.
    Flat(usize),
    /// An image, channels last: value `(h, w, c)` is at position `(h·width + w)·channels + c`.
    Image {
        /// Rows of pixels.
        height: usize,
        /// Pixels in a row.
        width: usize,
        /// Values of a pixel.
        channels: usize,
    },
}

impl Shape {
    /// Returns `Ok` if rows of this shape are images `(height, width, channels)`, or vectors of as many
    /// values.
    pub(crate) fn expect_image(
        self,
        op: &'static str,
        (height, width, channels): (usize, usize, usize),
    ) -> Result<(), Error> {
        let expected = [height, width, channels];
        match self {
            Self::Flat(size) if size == Self::from((height, width, channels)).size() => Ok(()),
            Self::Flat(size) => Err(Error::shape(op, &expected, &[size])),
            Self::Image {
                height,
                width,
                channels,
            } => match [height, width, channels] {
                got if got == expected => Ok(()),
                got => Err(Error::shape(op, &expected, &got)),
            },
        }
    }

    /// The number of values in a row; `usize::MAX` if there are more than can be addressed. The shapes of a
    /// network are [checked](Self::checked_size).
    pub fn size(&self) -> usize {
        self.checked_size().unwrap_or(usize::MAX)
    }

    /// The number of channels of an image, or of values of a vector.
    pub fn channels(&self) -> usize {
        match *self {
            Self::Flat(size) => size,
            Self::Image { channels, .. } => channels,
        }
    }

    /// The number of values in a row.
    ///
    /// ```
    /// use bn_layers::Shape;
    /// assert_eq!(Shape::from((7, 7, 128)).checked_size()?, 6272);
    /// assert!(Shape::from((1 << 40, 1 << 40, 1)).checked_size().is_err());
    /// # Ok::<(), bn_layers::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`bn_tensor::Error::TooLarge`] if there are more values than can be addressed.
    pub fn checked_size(&self) -> Result<usize, Error> {
        let len = match *self {
            Self::Flat(size) => checked_len::<f32>("a row", &[size]),
            Self::Image {
                height,
                width,
                channels,
            } => checked_len::<f32>("an image", &[height, width, channels]),
        };
        Ok(len?)
    }
}

impl From<usize> for Shape {
    fn from(size: usize) -> Self {
        Self::Flat(size)
    }
}

impl From<(usize, usize, usize)> for Shape {
    /// `(height, width, channels)`.
    fn from((height, width, channels): (usize, usize, usize)) -> Self {
        Self::Image {
            height,
            width,
            channels,
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flat(size) => write!(f, "{size}"),
            Self::Image {
                height,
                width,
                channels,
            } => write!(f, "{height}×{width}×{channels}"),
        }
    }
}
