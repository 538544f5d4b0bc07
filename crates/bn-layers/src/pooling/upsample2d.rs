use super::images::{at, at_mut};
use crate::{
    error::Error,
    layer::{Io, Layer, Wanted},
    pass::{Mode, Pass},
    rows::for_each_row,
    shape::Shape,
    spec::LayerSpec,
};
use bn_tensor::{Scalar, check_setting, checked_len};
use ndarray::{ArrayView2, ArrayViewMut2};
use serde::{Deserialize, Serialize};

/// Repeats each pixel `factor` times down and across (PyTorch's `Upsample(mode="nearest")`, Keras'
/// `UpSampling2D`).
///
/// ```text
/// y[i, j, c] = x[⌊i / factor⌋, ⌊j / factor⌋, c]
/// ```
///
/// Rows of `x: (N, H·W·C)` are images, channels last. Train and Eval are the same.
///
/// ```
/// use bn_layers::{LayerExt, Mode, Upsample2d};
/// use ndarray::array;
/// let mut upsample = Upsample2d::new((1, 2, 1), 2)?;
/// let y = upsample.forward(array![[1.0, 2.0]].view(), Mode::Train)?;
/// assert_eq!(y, array![[1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]]);
/// # Ok::<(), bn_layers::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tensor`] for shapes that do not fit, [`Error::EmptyBatch`].
#[derive(Debug, Clone)]
pub struct Upsample2d {
    settings: Settings,
}

/// The settings of an [`Upsample2d`](crate::Upsample2d), in its description.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// `(height, width, channels)` of the input.
    pub image: (usize, usize, usize),
    /// How often each pixel is repeated, down and across.
    pub factor: usize,
}

impl Upsample2d {
    /// Creates the layer for images `(height, width, channels)`.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a factor of 0; [`Error::Tensor`] for an empty image, or a
    /// factor for which an image has more values than can be addressed.
    pub fn new(image: (usize, usize, usize), factor: usize) -> Result<Self, Error> {
        const OP: &str = "Upsample2d";
        let (height, width, channels) = image;
        let what = "the upsampling factor";
        check_setting(what, "at least 1", factor as f64, factor > 0)?;
        if checked_len::<f32>(OP, &[height, width, channels, factor, factor])? == 0 {
            return Err(Error::shape(OP, &[1, 1, 1], &[height, width, channels]));
        }
        let settings = Settings { image, factor };
        Ok(Self { settings })
    }

    pub(crate) fn from_settings(settings: &Settings) -> Result<Self, Error> {
        Self::new(settings.image, settings.factor)
    }

    /// The number of values of an image and of an output.
    fn lengths(&self) -> (usize, usize) {
        let Settings { image, factor } = self.settings;
        let len = image.0 * image.1 * image.2;
        (len, len * factor * factor)
    }

    /// Calls `f(pixel of x, pixel of y)` for each pixel of y.
    fn for_each_pixel(&self, mut f: impl FnMut(usize, usize)) {
        let Settings { image, factor } = self.settings;
        let (height, width) = (image.0 * factor, image.1 * factor);
        for i in 0..height {
            for j in 0..width {
                f(i / factor * image.1 + j / factor, i * width + j);
            }
        }
    }

    fn values<T: Scalar>(
        &self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        let ((image, out), channels) = (self.lengths(), self.settings.image.2);
        for_each_row("Upsample2d", [(&x, image)], (&mut y, out), |[x], y| {
            self.for_each_pixel(|from, to| {
                at_mut(y, to, channels).copy_from_slice(at(x, from, channels));
            });
        })
    }
}

impl<T: Scalar> Layer<T> for Upsample2d {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        let Settings { image, factor } = self.settings;
        input.expect_image("Upsample2d", image)?;
        Ok((image.0 * factor, image.1 * factor, image.2).into())
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &Pass<'_>,
    ) -> Result<(), Error> {
        self.values(x, y)
    }

    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &mut Vec<T>,
    ) -> Result<(), Error> {
        self.values(x, y)
    }

    fn backward_into(
        &mut self,
        io: Io<'_, T>,
        wanted: Wanted<'_, T>,
        _: &Pass<'_>,
    ) -> Result<(), Error> {
        const OP: &str = "Upsample2d::backward";
        let Some(mut dx) = wanted.dx else {
            return Ok(());
        };
        let ((image, out), channels) = (self.lengths(), self.settings.image.2);
        for_each_row(OP, [(&io.dout, out)], (&mut dx, image), |[dout], dx| {
            dx.fill(T::zero());
            self.for_each_pixel(|to, from| {
                let dx = at_mut(dx, to, channels);
                let dout = at(dout, from, channels);
                dx.iter_mut().zip(dout).for_each(|(dx, &dout)| *dx += dout);
            });
        })
    }

    fn rows_are_independent(&self, _: Mode) -> bool {
        true
    }

    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new("Upsample2d", self.settings))
    }
}
