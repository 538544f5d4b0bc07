//! The layers of images.

use super::NetworkBuilder;
use bn_layers::{
    AvgPool2d, Conv2d, Conv2dConfig, ConvTranspose2d, Error as LayerError, Interpolation,
    MaxPool2d, Pool2dConfig, ReflectPad2d, Reshape, Resize2d, Shape, Upsample2d, ZeroPad2d,
};
use bn_tensor::Scalar;

impl<T: Scalar> NetworkBuilder<T> {
    /// A [`Conv2d`] of the images that the layer before it outputs.
    ///
    /// ```
    /// use bn_layers::Conv2dConfig;
    /// use bn_net::Network;
    /// let network = Network::builder((28, 28, 1))
    ///     .conv2d(Conv2dConfig::new(16, 3).same().without_bias()).batch_norm().relu()
    ///     .max_pool2d(2)
    ///     .conv2d(Conv2dConfig::new(32, 3).stride(2).same()).relu()
    ///     .global_avg_pool2d()
    ///     .affine(10)
    ///     .build(1)?;
    /// assert_eq!(network.output().size(), 10);
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    #[must_use]
    pub fn conv2d(self, config: Conv2dConfig) -> Self {
        let init = self.init;
        self.push("conv2d", move |input, rng| {
            Ok(Box::new(Conv2d::init(
                image("Conv2d", input)?,
                config,
                init,
                rng,
            )?))
        })
    }

    /// A [`ConvTranspose2d`] of the images that the layer before it outputs.
    #[must_use]
    pub fn conv_transpose2d(self, config: Conv2dConfig) -> Self {
        let init = self.init;
        self.push("conv_transpose2d", move |input, rng| {
            let image = image("ConvTranspose2d", input)?;
            Ok(Box::new(ConvTranspose2d::init(image, config, init, rng)?))
        })
    }

    /// A [`MaxPool2d`] of adjacent windows of `size × size` pixels, without padding. Pixels at the bottom or
    /// the right that do not fill a window are ignored.
    #[must_use]
    pub fn max_pool2d(self, size: usize) -> Self {
        self.max_pool2d_with(Pool2dConfig::new(size))
    }

    /// A [`MaxPool2d`] with these settings.
    ///
    /// ```
    /// use bn_layers::{Conv2dConfig, Padding, Pool2dConfig};
    /// use bn_net::Network;
    /// // The first layers of a ResNet.
    /// let network = Network::builder((224, 224, 3))
    ///     .conv2d(Conv2dConfig::new(64, 7).stride(2).padding(Padding::all(3)).without_bias())
    ///     .batch_norm().relu()
    ///     .max_pool2d_with(Pool2dConfig::new(3).stride(2).padding(Padding::all(1)))
    ///     .build(1)?;
    /// assert_eq!(network.output(), (56, 56, 64).into());
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    #[must_use]
    pub fn max_pool2d_with(self, config: Pool2dConfig) -> Self {
        self.push("max_pool2d", move |input, _| {
            let image = image("MaxPool2d", input)?;
            Ok(Box::new(MaxPool2d::with_config(image, config)?))
        })
    }

    /// An [`AvgPool2d`] with the windows of [`max_pool2d`](Self::max_pool2d).
    #[must_use]
    pub fn avg_pool2d(self, size: usize) -> Self {
        self.avg_pool2d_with(Pool2dConfig::new(size))
    }

    /// An [`AvgPool2d`] with these settings.
    #[must_use]
    pub fn avg_pool2d_with(self, config: Pool2dConfig) -> Self {
        self.push("avg_pool2d", move |input, _| {
            let image = image("AvgPool2d", input)?;
            Ok(Box::new(AvgPool2d::with_config(image, config)?))
        })
    }

    /// The mean of each channel of an image, as a flat row ([`AvgPool2d::global`]).
    #[must_use]
    pub fn global_avg_pool2d(self) -> Self {
        self.push("global_avg_pool2d", |input, _| {
            Ok(Box::new(AvgPool2d::global(image("AvgPool2d", input)?)?))
        })
    }

    /// The largest value of each channel of an image, as a flat row ([`MaxPool2d::global`]).
    #[must_use]
    pub fn global_max_pool2d(self) -> Self {
        self.push("global_max_pool2d", |input, _| {
            Ok(Box::new(MaxPool2d::global(image("MaxPool2d", input)?)?))
        })
    }

    /// An [`Upsample2d`] to images `factor` times as high and wide.
    #[must_use]
    pub fn upsample2d(self, factor: usize) -> Self {
        self.push("upsample2d", move |input, _| {
            Ok(Box::new(Upsample2d::new(
                image("Upsample2d", input)?,
                factor,
            )?))
        })
    }

    /// A [`Resize2d`] to images of `size = (height, width)`.
    #[must_use]
    pub fn resize2d(self, size: (usize, usize), interpolation: Interpolation) -> Self {
        self.push("resize2d", move |input, _| {
            let image = image("Resize2d", input)?;
            Ok(Box::new(Resize2d::new(image, size, interpolation)?))
        })
    }

    /// A [`ZeroPad2d`] of `rows = (top, bottom)` and `columns = (left, right)`.
    #[must_use]
    pub fn zero_pad2d(self, rows: (usize, usize), columns: (usize, usize)) -> Self {
        self.push("zero_pad2d", move |input, _| {
            let image = image("ZeroPad2d", input)?;
            Ok(Box::new(ZeroPad2d::new(image, rows, columns)?))
        })
    }

    /// A [`ReflectPad2d`] of `rows = (top, bottom)` and `columns = (left, right)`.
    #[must_use]
    pub fn reflect_pad2d(self, rows: (usize, usize), columns: (usize, usize)) -> Self {
        self.push("reflect_pad2d", move |input, _| {
            let image = image("ReflectPad2d", input)?;
            Ok(Box::new(ReflectPad2d::new(image, rows, columns)?))
        })
    }

    /// A [`Reshape`], for example from a vector to an image of as many values.
    #[must_use]
    pub fn reshape(self, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        self.push("reshape", move |_, _| Ok(Box::new(Reshape::new(shape))))
    }

    /// A [`Reshape`] of an image to a vector. An Affine does not need it.
    #[must_use]
    pub fn flatten(self) -> Self {
        self.push("flatten", |input, _| {
            Ok(Box::new(Reshape::new(Shape::Flat(input.size()))))
        })
    }
}

/// The shape of the images in `input`, if they are images.
fn image(layer: &'static str, input: Shape) -> Result<(usize, usize, usize), LayerError> {
    match input {
        Shape::Image {
            height,
            width,
            channels,
        } => Ok((height, width, channels)),
        Shape::Flat(size) => Err(LayerError::NotImages { layer, size }),
    }
}
