use super::normalization::{ExampleNorm, NormKind};
use crate::error::Error;
use bn_tensor::Scalar;

/// Layer Normalization (arXiv:1607.06450): all values of a row form a group. For images, a layer of
/// as many values as an image has channels normalises each pixel, as Keras' `LayerNormalization`
/// does. See [`ExampleNorm`] for the formula and the settings.
///
/// ```
/// use bn_layers::{LayerExt, LayerNorm, Mode};
/// let x = ndarray::array![[1.0, 2.0, 3.0f64], [0.0, 10.0, 20.0]];
/// let y = LayerNorm::new(3)?.forward(x.view(), Mode::Train)?;
/// assert!((y[[0, 2]] - 1.224_736).abs() < 1e-5 && (y[[1, 2]] - 1.224_745).abs() < 1e-5);
/// # Ok::<(), bn_layers::Error>(())
/// ```
pub type LayerNorm<T> = ExampleNorm<T, OfLayer>;

/// The kind of a [`LayerNorm`].
#[derive(Debug, Clone)]
pub enum OfLayer {}

impl NormKind for OfLayer {
    const NAME: &'static str = "LayerNorm";
    const SHARES_PIXELS: bool = false;
}

impl<T: Scalar> LayerNorm<T> {
    /// Creates a layer for rows, or pixels, of `size` values, with gamma 1 and beta 0.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a size of 0, [`bn_tensor::Error::TooLarge`] if there is
    /// no memory for so many values.
    pub fn new(size: usize) -> Result<Self, Error> {
        Self::with_groups(1, size)
    }
}
