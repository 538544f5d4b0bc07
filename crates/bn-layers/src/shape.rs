use crate::error::Error;
use serde::{Deserialize, Serialize};

/// What one row of a batch holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Shape {
    /// A vector of so many values.
    Flat(usize),
    /// An image, channels last: value `(h, w, c)` stands at `(h·width + w)·channels + c`.
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
    /// `Ok` when rows of this shape are images `(height, width, channels)`, or vectors of as many
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

    /// The number of values in a row, at most `usize::MAX`.
    pub fn size(&self) -> usize {
        match *self {
            Self::Flat(size) => size,
            Self::Image {
                height,
                width,
                channels,
            } => height.saturating_mul(width).saturating_mul(channels),
        }
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
