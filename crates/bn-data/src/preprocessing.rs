//! What is done to the values of an image before a network sees them.

use bn_tensor::Scalar;
use ndarray::ArrayViewMut2;

use crate::{
    error::{Error, Result},
    standardize::Standardize,
    statistics::{check_finite, standardize},
};

/// `x = (scale·x - mean) / std`, the way from the values of a file to those that a network was trained on. It is stored
/// with the network, so that whoever loads it need not know.
///
/// Mean and standard deviation are those of the scaled values: one for all values of a row, one for each channel of an
/// image `(H, W, C)`, or one for each value.
///
/// ```
/// use bn_data::Preprocessing;
/// // Pixels from 0 to 255, as PyTorch's example prepares MNIST.
/// let mnist = Preprocessing::new(1.0 / 255.0, &[0.1307], &[0.3081])?;
/// let mut images = ndarray::array![[0.0, 255.0]];
/// mnist.apply(images.view_mut())?;
/// assert_eq!(images, ndarray::array![[-0.1307 / 0.3081, (1.0 - 0.1307) / 0.3081]]);
/// # Ok::<(), bn_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Unchecked"))]
pub struct Preprocessing {
    scale: f64,
    mean: Vec<f64>, // as many as in `std`, at least one
    std: Vec<f64>,  // above 0
}

/// As it comes from a file.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    scale: f64,
    mean: Vec<f64>,
    std: Vec<f64>,
}

#[cfg(feature = "serde")]
impl TryFrom<Unchecked> for Preprocessing {
    type Error = Error;

    fn try_from(unchecked: Unchecked) -> Result<Self> {
        Self::new(unchecked.scale, &unchecked.mean, &unchecked.std)
    }
}

impl Default for Preprocessing {
    /// Changes nothing.
    fn default() -> Self {
        Self {
            scale: 1.0,
            mean: vec![0.0],
            std: vec![1.0],
        }
    }
}

impl Preprocessing {
    /// With one mean and one standard deviation, or as many as there are channels or values.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for no mean, another number of standard deviations, a scale or a standard deviation that is
    /// not above 0, or a value that is not finite.
    pub fn new(scale: f64, mean: &[f64], std: &[f64]) -> Result<Self> {
        let setting = |what, value: String, must_be: &str| {
            Err(Error::Setting {
                what,
                value,
                must_be: must_be.to_owned(),
            })
        };
        let positive = |x: f64| x.is_finite() && x > 0.0;
        if !positive(scale) {
            return setting("the scale", scale.to_string(), "finite and above 0");
        }
        if mean.is_empty() || mean.len() != std.len() {
            let (what, value) = ("the number of standard deviations", std.len().to_string());
            return setting(what, value, "that of the means, and at least 1");
        }
        if let Some(mean) = mean.iter().find(|mean| !mean.is_finite()) {
            return setting("a mean", mean.to_string(), "finite");
        }
        if let Some(&std) = std.iter().find(|&&std| !positive(std)) {
            let what = "a standard deviation";
            return setting(what, std.to_string(), "finite and above 0");
        }
        Ok(Self {
            scale,
            mean: mean.to_vec(),
            std: std.to_vec(),
        })
    }

    /// What divides pixels from 0 to 255 by 255.
    #[must_use]
    pub fn pixels() -> Self {
        Self {
            scale: 1.0 / 255.0,
            ..Self::default()
        }
    }

    /// The standardisation of values that were scaled before.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn standardized(scale: f64, by: &Standardize) -> Result<Self> {
        Self::new(scale, by.mean(), by.std())
    }

    /// Prepares `images` `(N, D)` in place.
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`] if D is not a multiple of the number of means;
    /// [`Error::NotFinite`]. The images are then unchanged.
    pub fn apply<T: Scalar>(&self, images: ArrayViewMut2<'_, T>) -> Result<()> {
        if !images.ncols().is_multiple_of(self.mean.len()) {
            return Err(Error::ShapeMismatch {
                op: "Preprocessing::apply",
                expected: format!("(N, D), D a multiple of {} means", self.mean.len()),
                got: images.shape().to_vec(),
            });
        }
        check_finite(images.view())?;
        standardize(images, self.scale, &self.mean, &self.std);
        Ok(())
    }

    /// What the values are multiplied by first.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// The means, at least one.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The standard deviations, as many as means.
    #[must_use]
    pub fn std(&self) -> &[f64] {
        &self.std
    }
}
