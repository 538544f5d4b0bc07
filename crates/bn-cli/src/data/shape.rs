use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The size of an image, written as `28x28` or `32x32x3`.
///
/// ```
/// let shape: bn_cli::ImageShape = "32x32x3".parse().unwrap();
/// assert_eq!((shape.height, shape.width, shape.channels), (32, 32, 3));
/// assert_eq!(shape.to_string(), "32x32x3");
/// assert!("32".parse::<bn_cli::ImageShape>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageShape {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Values of a pixel.
    pub channels: usize,
}

impl FromStr for ImageShape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Option<Vec<usize>> = text.split('x').map(|n| n.parse().ok()).collect();
        let (height, width, channels) = match numbers.as_deref() {
            Some(&[height, width]) => (height, width, 1),
            Some(&[height, width, channels]) => (height, width, channels),
            _ => return Err("not a size such as 28x28 or 32x32x3".to_owned()),
        };
        match [height, width, channels]
            .iter()
            .all(|n| (1..=65_536).contains(n))
        {
            true => Ok(Self {
                height,
                width,
                channels,
            }),
            false => Err("each number must be from 1 to 65536".to_owned()),
        }
    }
}

impl TryFrom<String> for ImageShape {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ImageShape> for String {
    fn from(shape: ImageShape) -> Self {
        shape.to_string()
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            height,
            width,
            channels,
        } = self;
        match channels {
            1 => write!(f, "{height}x{width}"),
            _ => write!(f, "{height}x{width}x{channels}"),
        }
    }
}
