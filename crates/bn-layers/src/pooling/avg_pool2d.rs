use super::{
    config::Pool2dConfig,
    images::{WindowSettings, at, at_mut, lengths, pixels_under},
};
use crate::{
    error::Error,
    layer::{Io, Layer, Wanted},
    pass::{Mode, Pass},
    rows::for_each_row,
    shape::Shape,
    spec::LayerSpec,
};
use bn_tensor::{Padding, Scalar, Window};
use ndarray::{ArrayView2, ArrayViewMut2};
use serde::{Deserialize, Serialize};

/// The mean of the values under a window, channel by channel (PyTorch's `AvgPool2d`, Keras'
/// `AveragePooling2D`).
///
/// ```text
/// y[i, j, c] = Σ x[i·stride + a·dilation − top, j·stride + b·dilation − left, c] / count
/// ```
///
/// The sum is over a, b inside the image. By default `count` is the number of pixels in the sum, as
/// in Keras. With [`counting_padding`](Self::counting_padding) it is the size of the window, as in
/// PyTorch; a window that extends beyond the padding ([ceil mode](Pool2dConfig::ceil_mode)) ends there. Each row of `x: (N, H·W·C)` is an image, channels last. Train and Eval do the same.
///
/// ```
/// use bn_layers::{AvgPool2d, LayerExt, Mode, Padding};
/// use ndarray::array;
/// let x = array![[1.0, 5.0, 2.0, 0.0]];
/// let mut pool = AvgPool2d::new((2, 2, 1), (2, 2), (1, 1), Padding::Valid)?;
/// assert_eq!(pool.forward(x.view(), Mode::Train)?, array![[2.0]]);
/// // The mean of each channel of the whole image.
/// let mut pool = AvgPool2d::global((2, 1, 2))?;
/// assert_eq!(pool.forward(x.view(), Mode::Train)?, array![[1.5, 2.5]]);
/// # Ok::<(), bn_layers::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tensor`] for shapes that do not fit; [`Error::EmptyBatch`].
#[derive(Debug, Clone)]
pub struct AvgPool2d {
    window: Window,
    settings: Settings,
}

/// The settings of an [`AvgPool2d`](crate::AvgPool2d), in its description.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Its window.
    pub window: WindowSettings,
    /// Whether the padding counts as zeros.
    pub counts_padding: bool,
    /// Whether the output is a flat row of one value per channel.
    pub is_global: bool,
}

impl AvgPool2d {
    /// Creates a pool whose window of size `kernel` moves by `stride` over images `(height, width,
    /// channels)`.
    ///
    /// # Errors
    /// As [`with_config`](Self::with_config).
    pub fn new(
        image: (usize, usize, usize),
        kernel: (usize, usize),
        stride: (usize, usize),
        padding: Padding,
    ) -> Result<Self, Error> {
        let config = Pool2dConfig {
            kernel,
            stride,
            padding,
            ..Pool2dConfig::new(1)
        };
        Self::with_config(image, config)
    }

    /// Creates a pool over images `(height, width, channels)`.
    ///
    /// # Errors
    /// [`bn_tensor::Error::Window`] if the window does not fit the image;
    /// [`bn_tensor::Error::InvalidSetting`] if a padding is as large as the kernel or a dilation larger than
    /// the image, because some windows would contain no pixel.
    pub fn with_config(image: (usize, usize, usize), config: Pool2dConfig) -> Result<Self, Error> {
        Self::from_settings(&Settings {
            window: WindowSettings::new(image, &config),
            counts_padding: config.counts_padding,
            is_global: false,
        })
    }

    /// Creates a pool that returns the mean of each channel over the whole image, as a flat row
    /// (Keras' `GlobalAveragePooling2D`).
    ///
    /// # Errors
    /// [`bn_tensor::Error::Window`] for an empty image.
    pub fn global(image: (usize, usize, usize)) -> Result<Self, Error> {
        let mut pool = Self::new(image, (image.0, image.1), (1, 1), Padding::Valid)?;
        pool.settings.is_global = true;
        Ok(pool)
    }

    /// Divides by the size of the window inside the padding: padding counts as zeros, as it does by default
    /// in PyTorch.
    #[must_use]
    pub fn counting_padding(mut self) -> Self {
        self.settings.counts_padding = true;
        self
    }

    pub(crate) fn from_settings(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            window: settings.window.window()?,
            settings: *settings,
        })
    }

    /// The divisor at a place.
    fn count<T: Scalar>(&self, place: usize) -> T {
        let columns = self.window.output().1;
        let (rows, across) = match self.settings.counts_padding {
            true => (
                self.window.padded_rows(place / columns),
                self.window.padded_columns(place % columns),
            ),
            false => (
                self.window.clip_rows(place / columns).0.len(),
                self.window.clip_columns(place % columns).0.len(),
            ),
        };
        T::from_f64((rows * across) as f64)
    }

    fn values<T: Scalar>(
        &self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        let ((image, out), channels) = (lengths(&self.window), self.window.image().2);
        for_each_row("AvgPool2d", [(&x, image)], (&mut y, out), |[x], y| {
            for (place, y) in y.chunks_exact_mut(channels).enumerate() {
                y.fill(T::zero());
                for pixel in pixels_under(&self.window, place) {
                    let x = at(x, pixel, channels);
                    y.iter_mut().zip(x).for_each(|(y, &x)| *y += x);
                }
                let count = self.count::<T>(place);
                y.iter_mut().for_each(|y| *y /= count);
            }
        })
    }
}

impl<T: Scalar> Layer<T> for AvgPool2d {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        input.expect_image("AvgPool2d", self.window.image())?;
        let ((rows, columns), channels) = (self.window.output(), self.window.image().2);
        Ok(match self.settings.is_global {
            true => channels.into(),
            false => (rows, columns, channels).into(),
        })
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
        const OP: &str = "AvgPool2d::backward";
        let Some(mut dx) = wanted.dx else {
            return Ok(());
        };
        let ((image, out), channels) = (lengths(&self.window), self.window.image().2);
        for_each_row(OP, [(&io.dout, out)], (&mut dx, image), |[dout], dx| {
            dx.fill(T::zero());
            for (place, dout) in dout.chunks_exact(channels).enumerate() {
                let share = T::one() / self.count::<T>(place);
                for pixel in pixels_under(&self.window, place) {
                    let dx = at_mut(dx, pixel, channels).iter_mut();
                    dx.zip(dout).for_each(|(dx, &dout)| *dx += dout * share);
                }
            }
        })
    }

    fn rows_are_independent(&self, _: Mode) -> bool {
        true
    }

    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new("AvgPool2d", self.settings))
    }
}
