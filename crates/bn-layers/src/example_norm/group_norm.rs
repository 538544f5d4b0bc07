use super::normalization::{ExampleNorm, NormKind};
use crate::error::Error;
use bn_tensor::Scalar;

/// Group Normalization (arXiv:1803.08494): the channels of an image are divided into groups of
/// adjacent channels, and all pixels of a group's channels share their statistics. In a flat row,
/// each value is a channel. See [`ExampleNorm`] for the formula and the settings.
///
/// ```
/// use bn_layers::{GroupNorm, LayerExt, Mode};
/// let x = ndarray::array![[1.0, 3.0, 10.0, 30.0f64]]; // four channels
/// let y = GroupNorm::new(2, 4)?.forward(x.view(), Mode::Train)?;
/// assert!((y[[0, 1]] - 1.0).abs() < 1e-5 && (y[[0, 3]] - 1.0).abs() < 1e-5);
/// # Ok::<(), bn_layers::Error>(())
/// ```
pub type GroupNorm<T> = ExampleNorm<T, OfGroups>;

/// The kind of a [`GroupNorm`].
#[derive(Debug, Clone)]
pub enum OfGroups {}

impl NormKind for OfGroups {
    const NAME: &'static str = "GroupNorm";
    const SHARES_PIXELS: bool = true;
}

impl<T: Scalar> GroupNorm<T> {
    /// Creates a layer for `channels` channels in `groups` groups, with gamma 1 and beta 0.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for 0 channels, or groups that do not divide them;
    /// [`bn_tensor::Error::TooLarge`] if there is no memory for so many channels.
    pub fn new(groups: usize, channels: usize) -> Result<Self, Error> {
        Self::with_groups(groups, channels)
    }
}
