use super::{
    config::Pool2dConfig,
    images::{WindowSettings, at, lengths, pixels_under},
};
use crate::{
    error::Error,
    layer::{Io, Layer, Wanted},
    pass::{Mode, Pass},
    rows::for_each_row,
    shape::Shape,
    spec::LayerSpec,
};
use bn_tensor::{Padding, Scalar, Window, check_setting};
use ndarray::{ArrayView2, ArrayViewMut2};
use serde::{Deserialize, Serialize};

/// The largest value under a window, channel by channel (PyTorch's `MaxPool2d`, Keras'
/// `MaxPooling2D`, the book's `Pooling` in `common/layers.py`).
///
/// ```text
/// y[i, j, c] = max x[i·stride + a·dilation − top, j·stride + b·dilation − left, c]
/// ```
///
/// The maximum is over a, b inside the image. Each row of `x: (N, H·W·C)` is an image, channels last. If
/// several values under a window are
/// equally large, the gradient goes to the first in row-major order. A NaN counts as larger than any
/// number. Train and Eval do the same.
///
/// ```
/// use bn_layers::{LayerExt, MaxPool2d, Mode, Padding};
/// use ndarray::array;
/// let mut pool = MaxPool2d::new((2, 4, 1), (2, 2), (2, 2), Padding::Valid)?;
/// let x = array![[1.0, 5.0, 2.0, 0.0, 3.0, 4.0, 7.0, 6.0]];
/// let y = pool.forward(x.view(), Mode::Train)?;
/// assert_eq!(y, array![[5.0, 7.0]]);
/// let dx = pool.backward(x.view(), y.view(), array![[1.0, 2.0]].view())?;
/// assert_eq!(dx, array![[0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0]]);
/// # Ok::<(), bn_layers::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tensor`] for shapes that do not fit; [`Error::EmptyBatch`].
#[derive(Debug, Clone)]
pub struct MaxPool2d {
    window: Window,
    settings: Settings,
}

/// The settings of a [`MaxPool2d`](crate::MaxPool2d), in its description.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Its window.
    #[serde(flatten)]
    pub window: WindowSettings,
    /// Whether the output is a flat row of one value per channel.
    #[serde(default)]
    pub is_global: bool,
}

impl MaxPool2d {
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
    /// the image, because some windows would contain no pixel, or if the padding is to be
    /// [counted](Pool2dConfig::counts_padding).
    pub fn with_config(image: (usize, usize, usize), config: Pool2dConfig) -> Result<Self, Error> {
        let counts = config.counts_padding;
        let what = "whether a MaxPool2d counts its padding";
        check_setting(what, "false", f64::from(counts), !counts)?;
        Self::from_settings(&Settings {
            window: WindowSettings::new(image, &config),
            is_global: false,
        })
    }

    /// Creates a pool that returns the largest value of each channel of the whole image, as a flat row
    /// (Keras' `GlobalMaxPooling2D`).
    ///
    /// # Errors
    /// [`bn_tensor::Error::Window`] for an empty image.
    pub fn global(image: (usize, usize, usize)) -> Result<Self, Error> {
        let mut pool = Self::new(image, (image.0, image.1), (1, 1), Padding::Valid)?;
        pool.settings.is_global = true;
        Ok(pool)
    }

    pub(crate) fn from_settings(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            window: settings.window.window()?,
            settings: *settings,
        })
    }

    fn values<T: Scalar>(
        &self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        let ((image, out), channels) = (lengths(&self.window), self.window.image().2);
        for_each_row("MaxPool2d", [(&x, image)], (&mut y, out), |[x], y| {
            for (place, y) in y.chunks_exact_mut(channels).enumerate() {
                y.fill(T::neg_infinity());
                for pixel in pixels_under(&self.window, place) {
                    for (y, &x) in y.iter_mut().zip(at(x, pixel, channels)) {
                        if x > *y || x.is_nan() {
                            *y = x;
                        }
                    }
                }
            }
        })
    }

    /// The first pixel under the window at `place` whose value in channel `c` is `largest`.
    fn pixel_of<T: Scalar>(&self, x: &[T], place: usize, c: usize, largest: T) -> Option<usize> {
        let channels = self.window.image().2;
        pixels_under(&self.window, place).find(|pixel| {
            let x = x[pixel * channels + c];
            x == largest || (x.is_nan() && largest.is_nan())
        })
    }
}

impl<T: Scalar> Layer<T> for MaxPool2d {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        input.expect_image("MaxPool2d", self.window.image())?;
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
        const OP: &str = "MaxPool2d::backward";
        let Some(mut dx) = wanted.dx else {
            return Ok(());
        };
        let ((image, out), channels) = (lengths(&self.window), self.window.image().2);
        let from = [(&io.x, image), (&io.y, out), (&io.dout, out)];
        for_each_row(OP, from, (&mut dx, image), |[x, y, dout], dx| {
            dx.fill(T::zero());
            for (i, (&largest, &dout)) in y.iter().zip(dout).enumerate() {
                let (place, c) = (i / channels, i % channels);
                if let Some(pixel) = self.pixel_of(x, place, c, largest) {
                    dx[pixel * channels + c] += dout;
                }
            }
        })
    }

    fn rows_are_independent(&self, _: Mode) -> bool {
        true
    }

    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new("MaxPool2d", self.settings))
    }
}
