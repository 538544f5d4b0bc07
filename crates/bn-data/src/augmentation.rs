//! Random changes of training images: shifts, rotations, flips, erased rectangles and noise.

mod draw;
mod warp;

use bn_tensor::Scalar;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::error::{Error, Result};

/// The smallest rectangle that is erased, as a share of the image.
const LEAST_ERASED: f64 = 0.02;

/// Random changes of each training image, which make a network ignore them. The default changes nothing.
///
/// They apply in this order, with draws of its own for each image:
///
/// 1. **Flip**: the image is mirrored left to right, with a probability.
/// 2. **Rotation and shift**: it is rotated about its centre by an angle, uniform in ±`rotation`, and moved
///    by whole pixels, uniform in ±`shift`, along each axis. A rotated pixel is interpolated linearly
///    between its four neighbours (bilinear); what comes from outside of the image is 0.
/// 3. **Noise**: a value from a normal distribution is added to each value.
/// 4. **Random erasing** (Zhong et al. 2017, arXiv:1708.04896): with a probability, a rectangle is set to 0.
///    As in torchvision's `RandomErasing`, its share of the image is uniform between 0.02 and
///    `erasing_area`, and the logarithm of its ratio of height to width is uniform between those of 0.3
///    and 1/0.3; if ten such rectangles do not fit, none is erased.
///
/// ```
/// use bn_data::{Augmentation, Augmented, BatchSource, Batches, Digits};
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let (train, _test) = Digits::load()?.into_parts();
/// let augmentation = Augmentation::default().with_shift(1).with_rotation(10.0).with_noise(0.05);
/// let mut batches = Augmented::new(Batches::new(&train, 100, 42)?, augmentation)?;
/// while let Some(batch) = batches.next_batch()? {
///     assert_eq!(batch.images.dim(), (batch.labels().len(), 64));
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct Augmentation {
    /// The largest shift along each axis, in pixels.
    pub shift: usize,
    /// The largest angle, in degrees.
    pub rotation: f64,
    /// The probability that the image is mirrored.
    pub flip: f64,
    /// The standard deviation of the noise.
    pub noise: f64,
    /// The probability that a rectangle is erased.
    pub erasing: f64,
    /// The largest share of the image that is erased; 0.33 by default.
    pub erasing_area: f64,
}

impl Default for Augmentation {
    fn default() -> Self {
        Augmentation {
            shift: 0,
            rotation: 0.0,
            flip: 0.0,
            noise: 0.0,
            erasing: 0.0,
            erasing_area: 0.33,
        }
    }
}

impl Augmentation {
    /// Sets the largest shift along each axis, in pixels.
    #[must_use]
    pub fn with_shift(mut self, pixels: usize) -> Self {
        self.shift = pixels;
        self
    }

    /// Sets the largest angle of the rotation, in degrees.
    #[must_use]
    pub fn with_rotation(mut self, degrees: f64) -> Self {
        self.rotation = degrees;
        self
    }

    /// Sets the probability that an image is mirrored left to right.
    #[must_use]
    pub fn with_flip(mut self, probability: f64) -> Self {
        self.flip = probability;
        self
    }

    /// Sets the standard deviation of the noise, in the unit of the images.
    #[must_use]
    pub fn with_noise(mut self, std: f64) -> Self {
        self.noise = std;
        self
    }

    /// Sets the probability that a rectangle is erased.
    #[must_use]
    pub fn with_erasing(mut self, probability: f64) -> Self {
        self.erasing = probability;
        self
    }

    /// Sets the largest share of an image that is erased.
    #[must_use]
    pub fn with_erasing_area(mut self, share: f64) -> Self {
        self.erasing_area = share;
        self
    }

    /// Returns `Ok` if the settings fit images of `(H, W, C)` whose values have type `T`.
    pub(crate) fn check<T: Scalar>(&self, (height, width, _): (usize, usize, usize)) -> Result<()> {
        let most = height.min(width).saturating_sub(1);
        if self.shift > most {
            return Err(Error::Setting {
                what: "the shift",
                value: self.shift.to_string(),
                must_be: format!("at most {most} for images of {height} x {width} pixels"),
            });
        }
        let probability = "between 0 and 1";
        let noise = T::from_f64(self.noise); // it must be finite in the images' type
        for (what, value, is_right, must_be) in [
            (
                "the rotation",
                self.rotation,
                (0.0..=180.0).contains(&self.rotation),
                "between 0 and 180 degrees",
            ),
            (
                "the probability of a flip",
                self.flip,
                (0.0..=1.0).contains(&self.flip),
                probability,
            ),
            (
                "the standard deviation of the noise",
                self.noise,
                noise.is_finite() && self.noise >= 0.0,
                "finite and at least 0",
            ),
            (
                "the probability of erasing",
                self.erasing,
                (0.0..=1.0).contains(&self.erasing),
                probability,
            ),
            (
                "the largest erased area",
                self.erasing_area,
                (LEAST_ERASED..=1.0).contains(&self.erasing_area),
                "between 0.02 and 1",
            ),
        ] {
            if !is_right {
                return Err(Error::Setting {
                    what,
                    value: value.to_string(),
                    must_be: must_be.to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Writes `from`, an image `(H, W, C)`, to `to` with the changes that `rng` draws.
    pub(crate) fn apply<T: Scalar>(
        &self,
        rng: &mut Xoshiro256PlusPlus,
        shape: (usize, usize, usize),
        from: &[T],
        to: &mut [T],
    ) {
        let motion = draw::motion(self, rng);
        warp::warp(&motion, shape, from, to);
        draw::add_noise(self, rng, to);
        if let Some(rectangle) = draw::erased(self, rng, shape) {
            warp::erase(&rectangle, shape, to);
        }
    }
}
