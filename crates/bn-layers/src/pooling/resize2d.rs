use super::resample::{Resample, Source};
use crate::{
    error::Error,
    layer::{Io, Layer, Wanted},
    pass::{Mode, Pass},
    shape::Shape,
    spec::LayerSpec,
};
use bn_tensor::{Scalar, checked_len};
use ndarray::{ArrayView2, ArrayViewMut2};
use serde::{Deserialize, Serialize};

/// How a [`Resize2d`] computes a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Interpolation {
    /// One pixel: `⌊i·size / new size⌋`, as PyTorch's `mode="nearest"`.
    Nearest,
    /// The weighted mean of the two by two nearest pixels, as PyTorch's `mode="bilinear"` with
    /// `align_corners=False`, and Keras' `interpolation="bilinear"`.
    Bilinear,
}

/// Resizes images to any height and width (PyTorch's `Upsample(size=…)`, Keras' `Resizing`), larger or
/// smaller, without antialiasing.
///
/// ```text
/// nearest    y[i] = x[⌊i·size / new size⌋]
/// bilinear   y[i] = (1 − s)·x[p] + s·x[p + 1],      p + s = max(0, (i + ½)·size / new size − ½)
/// ```
///
/// The formulas are those of rows, and the same holds for columns; beyond the last row, `p + 1` is `p`.
/// Rows of `x: (N, H·W·C)` are images, channels last. Train and Eval are the same.
///
/// ```
/// use bn_layers::{Interpolation, LayerExt, Resize2d};
/// use ndarray::array;
/// let x = array![[0.0, 4.0]];
/// let nearest = Resize2d::new((1, 2, 1), (1, 3), Interpolation::Nearest)?;
/// assert_eq!(nearest.eval(x.view())?, array![[0.0, 0.0, 4.0]]);
/// let bilinear = Resize2d::new((1, 2, 1), (1, 4), Interpolation::Bilinear)?;
/// assert_eq!(bilinear.eval(x.view())?, array![[0.0, 1.0, 3.0, 4.0]]);
/// # Ok::<(), bn_layers::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tensor`] for shapes that do not fit, [`Error::EmptyBatch`].
#[derive(Debug, Clone)]
pub struct Resize2d {
    settings: Settings,
}

/// The settings of a [`Resize2d`](crate::Resize2d), in its description.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// `(height, width, channels)` of the input.
    pub image: (usize, usize, usize),
    /// `(height, width)` of the output.
    pub size: (usize, usize),
    /// How pixels between others are computed.
    pub interpolation: Interpolation,
}

impl Resize2d {
    /// Creates the layer from images `(height, width, channels)` to images of `size = (height, width)`.
    ///
    /// # Errors
    /// [`Error::Tensor`] for an empty image or size, or one with more values than can be addressed.
    pub fn new(
        image: (usize, usize, usize),
        size: (usize, usize),
        interpolation: Interpolation,
    ) -> Result<Self, Error> {
        let (height, width, channels) = image;
        for shape in [[height, width, channels], [size.0, size.1, channels]] {
            if checked_len::<f32>("Resize2d", &shape)? == 0 {
                return Err(Error::shape("Resize2d", &[1, 1, 1], &shape));
            }
        }
        let settings = Settings {
            image,
            size,
            interpolation,
        };
        Ok(Self { settings })
    }

    pub(crate) fn from_settings(settings: &Settings) -> Result<Self, Error> {
        Self::new(settings.image, settings.size, settings.interpolation)
    }

    /// What row `i` of an output of `new_size` rows consists of, for an image of `size` rows.
    fn source(&self, i: usize, size: usize, new_size: usize) -> Source {
        let (i, scaled) = (i as f64, |place: f64| place * size as f64 / new_size as f64);
        match self.settings.interpolation {
            // Exact while `i·size` is below 2^53.
            Interpolation::Nearest => Source::one((scaled(i) as usize).min(size - 1)),
            Interpolation::Bilinear => {
                let place = (scaled(i + 0.5) - 0.5).max(0.0);
                let first = (place as usize).min(size - 1);
                Source {
                    first,
                    second: (first + 1).min(size - 1),
                    share: (place - first as f64).min(1.0),
                }
            }
        }
    }
}

impl Resample for Resize2d {
    fn image(&self) -> (usize, usize, usize) {
        self.settings.image
    }

    fn output(&self) -> (usize, usize) {
        self.settings.size
    }

    fn row(&self, row: usize) -> Option<Source> {
        let Settings { image, size, .. } = self.settings;
        Some(self.source(row, image.0, size.0))
    }

    fn column(&self, column: usize) -> Option<Source> {
        let Settings { image, size, .. } = self.settings;
        Some(self.source(column, image.1, size.1))
    }
}

impl<T: Scalar> Layer<T> for Resize2d {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        let Settings { image, size, .. } = self.settings;
        input.expect_image("Resize2d", image)?;
        Ok((size.0, size.1, image.2).into())
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &Pass<'_>,
    ) -> Result<(), Error> {
        self.values("Resize2d", x, y)
    }

    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &mut Vec<T>,
    ) -> Result<(), Error> {
        self.values("Resize2d", x, y)
    }

    fn backward_into(
        &mut self,
        io: Io<'_, T>,
        wanted: Wanted<'_, T>,
        _: &Pass<'_>,
    ) -> Result<(), Error> {
        let Some(dx) = wanted.dx else { return Ok(()) };
        self.gradient("Resize2d::backward", io.dout, dx)
    }

    fn rows_are_independent(&self, _: Mode) -> bool {
        true
    }

    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new("Resize2d", self.settings))
    }
}
