//! Pictures placed in their frames as the images of a data set are.

mod ink;
mod resample;

use bn_tensor::{Scalar, try_zeros};
use ndarray::{Array2, ArrayView2, Axis};
use std::ops::Range;

use crate::{
    dataset::Dataset,
    error::{Error, Result},
    statistics::check_finite,
};
use ink::Ink;
use resample::Resampled;

/// The number of images of a data set that are looked at.
const IMAGES: usize = 1000;

/// The share of them that must have a plain background.
const PLAIN: f64 = 0.8;

/// How what is drawn lies in the grey images of a data set: on a background of which value, and how much of the image it
/// fills. A picture that somebody drew or photographed is prepared the same way, as MNIST was made from scanned forms:
/// cropped to its ink, scaled with antialiasing so that the longer side fills the same share of the image, and moved so
/// that the centre of mass is in the middle (<http://yann.lecun.com/exdb/mnist/>).
///
/// Values are from 0 (black) to 1 (white).
///
/// ```
/// use bn_data::Framing;
/// use ndarray::Array2;
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let mnist = Framing::mnist();
/// // A black stroke on white paper, far from the middle.
/// let picture = Array2::from_shape_fn((200, 100), |(y, x)| match (20..140, 10..22) {
///     (rows, columns) if rows.contains(&y) && columns.contains(&x) => 0.0,
///     _ => 1.0f32,
/// });
/// let framed = mnist.apply(picture.view(), (28, 28))?;
/// assert!(framed.is_inverted);
/// assert_eq!(framed.ink, (20..140, 10..22)); // rows and columns
/// assert_eq!(framed.image.dim(), (28, 28));
/// assert_eq!(framed.image[[14, 14]], 1.0); // white on black, in the middle
/// assert_eq!(framed.image.column(14).sum(), 20.0); // and 20 pixels long
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Unchecked"))]
pub struct Framing {
    background: f64, // from 0 to 1
    extent: f64,     // above 0, at most 1
}

/// As it comes from a file.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    background: f64,
    extent: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Unchecked> for Framing {
    type Error = Error;

    fn try_from(unchecked: Unchecked) -> Result<Self> {
        Self::new(unchecked.background, unchecked.extent)
    }
}

/// What [`Framing::apply`] made of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Framed {
    /// The image `(H, W)`.
    pub image: Array2<f32>,
    /// Whether the picture was on the other side of grey: dark on bright where the data set is bright on dark.
    pub is_inverted: bool,
    /// The rows and columns of the picture that have ink.
    pub ink: (Range<usize>, Range<usize>),
}

impl Framing {
    /// With a background from 0 to 1, and ink whose longer side fills the share `extent` of the image.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a number out of range.
    pub fn new(background: f64, extent: f64) -> Result<Self> {
        let setting = |what, value: f64, must_be: &str| {
            Err(Error::Setting {
                what,
                value: value.to_string(),
                must_be: must_be.to_owned(),
            })
        };
        if !(0.0..=1.0).contains(&background) {
            return setting("the background", background, "from 0 to 1");
        }
        if !(extent > 0.0 && extent <= 1.0) {
            return setting("the extent of the ink", extent, "above 0 and at most 1");
        }
        Ok(Self { background, extent })
    }

    /// That of MNIST: on black, 20 of 28 pixels.
    #[must_use]
    pub fn mnist() -> Self {
        Self {
            background: 0.0,
            extent: 20.0 / 28.0,
        }
    }

    /// The medians over the first thousand images of a data set; `None` if these are not drawings on a plain
    /// background, but photographs, tables or images in colour.
    ///
    /// ```
    /// use bn_data::{Digits, Framing};
    /// # fn main() -> Result<(), bn_data::Error> {
    /// let digits = Digits::load()?;
    /// assert_eq!(Framing::fit(digits.train()), Some(Framing::new(0.0, 1.0)?)); // they fill their frames
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn fit<T: Scalar>(data: &Dataset<T>) -> Option<Self> {
        let (height, width, channels) = data.image_shape();
        if channels != 1 || height < 2 || width < 2 {
            return None;
        }
        let (mut backgrounds, mut extents) = (Vec::new(), Vec::new());
        let images = data.images();
        let seen = images.nrows().min(IMAGES);
        for row in images.axis_iter(Axis(0)).take(seen) {
            let row = row.mapv(|x| x.as_f64() as f32);
            let Ok(image) = row.into_shape_with_order((height, width)) else {
                return None;
            };
            let Some(ink) = Ink::find(image.view()).filter(|ink| ink.is_on_plain) else {
                continue;
            };
            let (rows, columns) = (ink.rows.len() as f64, ink.columns.len() as f64);
            backgrounds.push(f64::from(ink.background));
            extents.push((rows / height as f64).max(columns / width as f64));
        }
        let (background, extent) = (median(&mut backgrounds)?, median(&mut extents)?);
        let alike = |other: &&f64| (**other - background).abs() < 0.1;
        let plain = backgrounds.iter().filter(alike).count();
        match plain as f64 >= PLAIN * seen as f64 {
            true => Self::new(background, extent).ok(), // values may be out of range
            false => None,
        }
    }

    /// Prepares a picture `(H, W)`, whose values are from 0 to 1, as an image of `size` `(height, width)`.
    ///
    /// # Errors
    ///
    /// [`Error::Blank`] for a picture without anything drawn; [`Error::NotFinite`]; [`Error::Setting`] for a size of 0;
    /// [`Error::Tensor`] if there is no memory for the image.
    pub fn apply(
        &self,
        picture: ArrayView2<'_, f32>,
        (height, width): (usize, usize),
    ) -> Result<Framed> {
        check_finite(picture)?;
        if height == 0 || width == 0 {
            return Err(Error::Setting {
                what: "the size of an image",
                value: format!("{height}x{width}"),
                must_be: "at least 1 pixel each way".to_owned(),
            });
        }
        let mut image = try_zeros("Framing::apply", (height, width))?;
        let ink = Ink::find(picture).ok_or(Error::Blank)?;
        // Pixels of the picture for each pixel of the image.
        let scale = |ink: &Range<usize>, side| ink.len() as f64 / (self.extent * side as f64);
        let scale = scale(&ink.rows, height).max(scale(&ink.columns, width));
        let (y, x) = ink.center_of_mass();
        Resampled {
            source: ink.amounts.view(),
            scale,
            top: place(&ink.rows, y, scale, height),
            left: place(&ink.columns, x, scale, width),
        }
        .write_to(image.view_mut())?;
        // A thin stroke fades when it is scaled down; the images of a data set reach full contrast.
        let most = image.fold(0.0f32, |most, &amount| most.max(amount));
        let (background, is_bright) = (self.background as f32, self.background > 0.5);
        image.mapv_inplace(|amount| {
            let amount = if most > 0.0 { amount / most } else { 0.0 };
            match is_bright {
                true => background * (1.0 - amount),
                false => background + (1.0 - background) * amount,
            }
        });
        Ok(Framed {
            image,
            is_inverted: is_bright != ink.is_on_bright,
            ink: (ink.rows, ink.columns),
        })
    }

    /// The value of the background.
    #[must_use]
    pub fn background(&self) -> f64 {
        self.background
    }

    /// The share of the image that the longer side of the ink fills.
    #[must_use]
    pub fn extent(&self) -> f64 {
        self.extent
    }
}

/// Where the picture begins in an image of `side` pixels, in whole pixels of the image from where the ink begins: the
/// centre of mass is in the middle, and the ink inside.
fn place(ink: &Range<usize>, center: f64, scale: f64, side: usize) -> f64 {
    let begin = side as f64 / 2.0 - (center - ink.start as f64) / scale;
    let room = (side as f64 - ink.len() as f64 / scale).max(0.0);
    begin.round().clamp(0.0, room.floor()) - ink.start as f64 / scale
}

/// The lower median; `None` of no values.
fn median<V: Copy + PartialOrd>(values: &mut [V]) -> Option<V> {
    let middle = values.len().checked_sub(1)? / 2;
    let order = |a: &V, b: &V| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal);
    Some(*values.select_nth_unstable_by(middle, order).1)
}
