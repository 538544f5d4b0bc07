//! The settings of layers as [`LayerSpec::settings`](crate::LayerSpec::settings) returns them, for programs that
//! convert networks to another format.
//!
//! The settings of the layers that are missing here are a number (`Elu`: alpha; `LeakyRelu`: the slope; `Softmax` and
//! `LogSoftmax`: the classes), a `bool` (`Gelu`: whether it uses tanh), a [`Shape`](crate::Shape) (`Reshape`) or nothing.
//!
//! ```
//! use bn_layers::{Affine, Layer, settings};
//! let affine = Affine::without_bias(ndarray::Array2::<f32>::zeros((784, 100)))?;
//! let settings: settings::Affine = affine.describe().unwrap().settings()?;
//! assert_eq!((settings.inputs, settings.outputs, settings.bias), (784, 100, false));
//! # Ok::<(), bn_layers::Error>(())
//! ```

pub use crate::{
    activation::prelu::Settings as PRelu,
    affine::Settings as Affine,
    batch_norm::layer::Settings as BatchNormalization,
    convolution::{conv_transpose2d::Settings as ConvTranspose2d, conv2d::Settings as Conv2d},
    dropout::Settings as Dropout,
    example_norm::normalization::Settings as ExampleNorm,
    pooling::{
        avg_pool2d::Settings as AvgPool2d, images::WindowSettings as Window,
        max_pool2d::Settings as MaxPool2d, pad2d::Settings as Pad2d,
        resize2d::Settings as Resize2d, upsample2d::Settings as Upsample2d,
    },
};
