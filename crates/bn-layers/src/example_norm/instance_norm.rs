use super::normalization::{ExampleNorm, NormKind};
use crate::error::Error;
use bn_tensor::Scalar;

/// Instance Normalization (arXiv:1607.08022): each channel of each image is normalised by itself.
/// See [`ExampleNorm`] for the formula and the settings. (PyTorch's `InstanceNorm2d` learns gamma and
/// beta only with `affine=True`; here they are learned unless
/// [`without_affine`](ExampleNorm::without_affine).)
///
/// ```
/// use bn_layers::{InstanceNorm, LayerExt, Mode};
/// let x = ndarray::array![[1.0, 10.0, 3.0, 30.0f64]]; // two pixels with two channels
/// let y = InstanceNorm::new(2)?.forward(x.view(), Mode::Train)?;
/// assert!((y[[0, 0]] + 1.0).abs() < 1e-5 && (y[[0, 3]] - 1.0).abs() < 1e-5);
/// # Ok::<(), bn_layers::Error>(())
/// ```
pub type InstanceNorm<T> = ExampleNorm<T, OfInstances>;

/// The kind of an [`InstanceNorm`].
#[derive(Debug, Clone)]
pub enum OfInstances {}

impl NormKind for OfInstances {
    const NAME: &'static str = "InstanceNorm";
    const SHARES_PIXELS: bool = true;
}

impl<T: Scalar> InstanceNorm<T> {
    /// Creates a layer for images with `channels` channels, with gamma 1 and beta 0.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for 0 channels, [`bn_tensor::Error::TooLarge`] if there is
    /// no memory for so many channels.
    pub fn new(channels: usize) -> Result<Self, Error> {
        Self::with_groups(channels, channels)
    }
}
