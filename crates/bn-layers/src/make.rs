//! Builds layers from their descriptions.

use crate::{
    activation::{
        Elu, Gelu, Identity, LeakyRelu, LogSoftmax, PRelu, Relu, Relu6, Sigmoid, Silu, Softmax,
        Tanh,
    },
    affine::Affine,
    batch_norm::BatchNormalization,
    convolution::{Conv2d, ConvTranspose2d},
    dropout::Dropout,
    error::Error,
    example_norm::{GroupNorm, InstanceNorm, LayerNorm},
    layer::Layer,
    pooling::{AvgPool2d, MaxPool2d, ReflectPad2d, Resize2d, Upsample2d, ZeroPad2d},
    reshape::Reshape,
    spec::LayerSpec,
};
use bn_tensor::Scalar;

impl LayerSpec {
    /// Builds the layer with this description. Its weights are zero; its state can be restored
    /// through [`Layer::state_mut`].
    ///
    /// # Errors
    /// [`Error::Spec`] if this crate has no such layer or the settings do not match it; the errors of
    /// the layer's constructor.
    pub fn build<T: Scalar>(&self) -> Result<Box<dyn Layer<T>>, Error> {
        Ok(match self.layer.as_str() {
            "Affine" => Box::new(Affine::from_settings(&self.settings()?)?),
            "AvgPool2d" => Box::new(AvgPool2d::from_settings(&self.settings()?)?),
            "BatchNormalization" => Box::new(BatchNormalization::from_settings(&self.settings()?)?),
            "Conv2d" => Box::new(Conv2d::from_settings(&self.settings()?)?),
            "ConvTranspose2d" => Box::new(ConvTranspose2d::from_settings(&self.settings()?)?),
            "Dropout" => Box::new(Dropout::from_settings(&self.settings()?)?),
            "Elu" => Box::new(Elu::new(self.settings()?)?),
            "Gelu" => Box::new(Gelu::from_settings(self.settings()?)),
            "GroupNorm" => Box::new(GroupNorm::from_settings(&self.settings()?)?),
            "Identity" => Box::new(Identity),
            "InstanceNorm" => Box::new(InstanceNorm::from_settings(&self.settings()?)?),
            "LayerNorm" => Box::new(LayerNorm::from_settings(&self.settings()?)?),
            "LeakyRelu" => Box::new(LeakyRelu::new(self.settings()?)?),
            "LogSoftmax" => Box::new(LogSoftmax::new(self.settings()?)?),
            "MaxPool2d" => Box::new(MaxPool2d::from_settings(&self.settings()?)?),
            "PRelu" => Box::new(PRelu::from_settings(&self.settings()?)?),
            "ReflectPad2d" => Box::new(ReflectPad2d::from_settings(&self.settings()?)?),
            "Relu" => Box::new(Relu),
            "Relu6" => Box::new(Relu6),
            "Reshape" => Box::new(Reshape::new(self.settings()?)),
            "Resize2d" => Box::new(Resize2d::from_settings(&self.settings()?)?),
            "Sigmoid" => Box::new(Sigmoid),
            "Silu" => Box::new(Silu),
            "Softmax" => Box::new(Softmax::new(self.settings()?)?),
            "Tanh" => Box::new(Tanh),
            "Upsample2d" => Box::new(Upsample2d::from_settings(&self.settings()?)?),
            "ZeroPad2d" => Box::new(ZeroPad2d::from_settings(&self.settings()?)?),
            _ => {
                return Err(Error::Spec {
                    layer: self.layer.clone(),
                    reason: "this library has no such layer".to_owned(),
                });
            }
        })
    }
}

impl LayerSpec {
    /// The number of values in the largest array that the layer has or computes with, whatever the batch; 0 for a
    /// layer that has none. A reader of files compares it with what the file holds before it builds the layer.
    ///
    /// ```
    /// use bn_layers::{Affine, Layer};
    /// let affine = Affine::without_bias(ndarray::Array2::<f32>::zeros((784, 100)))?;
    /// assert_eq!(affine.describe().unwrap().largest_array()?, 78_400);
    /// # Ok::<(), bn_layers::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Spec`] if the settings do not match the layer.
    pub fn largest_array(&self) -> Result<usize, Error> {
        let sizes = match self.layer.as_str() {
            "Affine" => Affine::<f32>::sizes(&self.settings()?),
            "BatchNormalization" => BatchNormalization::<f32>::sizes(&self.settings()?),
            "Conv2d" => Conv2d::<f32>::sizes(&self.settings()?),
            "ConvTranspose2d" => ConvTranspose2d::<f32>::sizes(&self.settings()?),
            "GroupNorm" => GroupNorm::<f32>::sizes(&self.settings()?),
            "InstanceNorm" => InstanceNorm::<f32>::sizes(&self.settings()?),
            "LayerNorm" => LayerNorm::<f32>::sizes(&self.settings()?),
            "PRelu" => PRelu::<f32>::sizes(&self.settings()?),
            _ => return Ok(0),
        };
        // A size of 0 does not make the others harmless.
        Ok(sizes
            .into_iter()
            .fold(1, |len, size| len.saturating_mul(size.max(1))))
    }
}

#[cfg(all(debug_assertions, not(test)))]
type Build<T> = fn(&LayerSpec) -> Result<Box<dyn Layer<T>>, Error>;

/// Compiles every layer for both scalar types in this crate. In a debug build, the crates above share
/// this code and do not compile it again.
#[cfg(all(debug_assertions, not(test)))]
#[used]
static BUILDS: (Build<f32>, Build<f64>) = (LayerSpec::build::<f32>, LayerSpec::build::<f64>);
