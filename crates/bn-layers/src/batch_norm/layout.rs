use crate::error::Error;
use ndarray::{ArrayView, ArrayView3, ArrayViewMut, ArrayViewMut3, Dimension};
use serde::{Deserialize, Serialize};

/// Where the channels are in a batch. Values of the same channel share a mean and a variance.
///
/// | | 2-D `(N, C)` | 4-D | seen as `(outer, channels, inner)` |
/// |---|---|---|---|
/// | `ChannelsLast` (default) | per column | `(N, H, W, C)`, per channel | `(N·H·W, C, 1)` |
/// | `ChannelsFirst` | per column | `(N, C, H, W)`, per channel | `(N, C, H·W)` |
/// | `PerPosition` | per column | any, per position (the book) | `(N, rest, 1)` |
///
/// For `PerPosition` the number of channels is the number of values in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Layout {
    /// The channels of a pixel are adjacent, as in Keras and inside this library's networks.
    #[default]
    ChannelsLast,
    /// The pixels of a channel are adjacent, as in PyTorch and in the book.
    ChannelsFirst,
    /// Each position of an image has its own statistics, as in the book's BatchNormalization, which
    /// flattens a 4-D input to `(N, C·H·W)`.
    PerPosition,
}

impl Layout {
    /// `(outer, channels, inner)` of a batch of shape `shape` with `channels` channels.
    pub(crate) fn view(
        self,
        channels: usize,
        shape: &[usize],
    ) -> Result<(usize, usize, usize), Error> {
        let refuse = |expected: &[usize]| Err(Error::shape("BatchNormalization", expected, shape));
        match *shape {
            [n, d] if d == channels => Ok((n, channels, 1)),
            [n, a, b, c] if self == Self::ChannelsLast => {
                if c != channels {
                    return refuse(&[n, a, b, channels]);
                }
                Ok((n * a * b, channels, 1))
            }
            [n, c, a, b] if self == Self::ChannelsFirst => {
                if c != channels {
                    return refuse(&[n, channels, a, b]);
                }
                Ok((n, channels, a * b))
            }
            [n, a, b, c] if self == Self::PerPosition => {
                if a * b * c != channels {
                    return refuse(&[n, channels]);
                }
                Ok((n, channels, 1))
            }
            [n, ..] => refuse(&[n, channels]),
            [] => refuse(&[1, channels]),
        }
    }

    /// [`view`](Self::view) of `n` rows of `d` values, which may be flattened images.
    pub(crate) fn view_rows(
        self,
        channels: usize,
        n: usize,
        d: usize,
    ) -> Result<(usize, usize, usize), Error> {
        let whole = match self {
            Self::PerPosition => d == channels,
            Self::ChannelsLast | Self::ChannelsFirst => {
                d > 0 && channels > 0 && d.is_multiple_of(channels)
            }
        };
        if !whole {
            return Err(Error::shape("BatchNormalization", &[n, channels], &[n, d]));
        }
        Ok(match self {
            Self::ChannelsLast => (n * (d / channels), channels, 1),
            Self::ChannelsFirst => (n, channels, d / channels),
            Self::PerPosition => (n, channels, 1),
        })
    }
}

fn not_contiguous() -> Error {
    let op = "BatchNormalization";
    bn_tensor::Error::NotContiguous { op }.into()
}

/// Checks that an array of this shape has as many values as the view.
fn check_len(
    shape: &[usize],
    (outer, channels, inner): (usize, usize, usize),
) -> Result<(), Error> {
    match shape.iter().product::<usize>() == outer * channels * inner {
        true => Ok(()),
        false => Err(Error::shape(
            "BatchNormalization",
            &[outer, channels, inner],
            shape,
        )),
    }
}

/// The array as `(outer, channels, inner)`, without a copy.
pub(super) fn reshaped<'a, T, D: Dimension>(
    x: ArrayView<'a, T, D>,
    view: (usize, usize, usize),
) -> Result<ArrayView3<'a, T>, Error> {
    check_len(x.shape(), view)?;
    x.into_shape_with_order(view).map_err(|_| not_contiguous())
}

/// As [`reshaped`], mutable.
pub(super) fn reshaped_mut<'a, T, D: Dimension>(
    x: ArrayViewMut<'a, T, D>,
    view: (usize, usize, usize),
) -> Result<ArrayViewMut3<'a, T>, Error> {
    check_len(x.shape(), view)?;
    x.into_shape_with_order(view).map_err(|_| not_contiguous())
}
