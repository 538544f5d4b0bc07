//! The activations.

use super::NetworkBuilder;
use bn_layers::{
    Elu, Gelu, Identity, LeakyRelu, LogSoftmax, PRelu, Relu, Relu6, Sigmoid, Silu, Softmax, Tanh,
};
use bn_tensor::Scalar;

impl<T: Scalar> NetworkBuilder<T> {
    /// A [`Relu`].
    #[must_use]
    pub fn relu(self) -> Self {
        self.push("relu", |_, _| Ok(Box::new(Relu)))
    }

    /// A [`LeakyRelu`].
    #[must_use]
    pub fn leaky_relu(self, slope: f64) -> Self {
        self.push("leaky_relu", move |_, _| {
            Ok(Box::new(LeakyRelu::new(slope)?))
        })
    }

    /// A [`Sigmoid`].
    #[must_use]
    pub fn sigmoid(self) -> Self {
        self.push("sigmoid", |_, _| Ok(Box::new(Sigmoid)))
    }

    /// A [`Tanh`].
    #[must_use]
    pub fn tanh(self) -> Self {
        self.push("tanh", |_, _| Ok(Box::new(Tanh)))
    }

    /// An [`Identity`].
    #[must_use]
    pub fn identity(self) -> Self {
        self.push("identity", |_, _| Ok(Box::new(Identity)))
    }

    /// An exact [`Gelu`]. For the approximation use [`layer`](Self::layer) with [`Gelu::tanh`].
    #[must_use]
    pub fn gelu(self) -> Self {
        self.push("gelu", |_, _| Ok(Box::new(Gelu::new())))
    }

    /// A [`Silu`].
    #[must_use]
    pub fn silu(self) -> Self {
        self.push("silu", |_, _| Ok(Box::new(Silu)))
    }

    /// An [`Elu`].
    #[must_use]
    pub fn elu(self, alpha: f64) -> Self {
        self.push("elu", move |_, _| Ok(Box::new(Elu::new(alpha)?)))
    }

    /// A [`Relu6`].
    #[must_use]
    pub fn relu6(self) -> Self {
        self.push("relu6", |_, _| Ok(Box::new(Relu6)))
    }

    /// A [`PRelu`] with a slope for each value of a flat row or each channel of an image, 0.25 at first.
    #[must_use]
    pub fn prelu(self) -> Self {
        self.push("prelu", |input, _| {
            Ok(Box::new(PRelu::new(input.channels(), 0.25)?))
        })
    }

    /// A [`Softmax`] over the values of a flat row or the channels of each pixel.
    #[must_use]
    pub fn softmax(self) -> Self {
        self.push("softmax", |input, _| {
            Ok(Box::new(Softmax::new(input.channels())?))
        })
    }

    /// A [`LogSoftmax`] over the values of a flat row or the channels of each pixel.
    #[must_use]
    pub fn log_softmax(self) -> Self {
        self.push("log_softmax", |input, _| {
            Ok(Box::new(LogSoftmax::new(input.channels())?))
        })
    }
}
