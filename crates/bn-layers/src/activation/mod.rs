//! Activations, one per file: element-wise functions, [`PRelu`] with learned slopes, and [`Softmax`]
//! over classes. Each is a layer.

mod definition;
mod elu;
mod gelu;
mod identity;
mod leaky_relu;
pub(crate) mod prelu;
mod rectifier;
mod relu;
mod relu6;
mod sigmoid;
mod silu;
mod softmax;
mod tanh;

pub use definition::Activation;
pub use elu::Elu;
pub use gelu::Gelu;
pub use identity::Identity;
pub use leaky_relu::LeakyRelu;
pub use prelu::PRelu;
pub(crate) use rectifier::Rectifier;
pub use relu::Relu;
pub use relu6::Relu6;
pub use sigmoid::Sigmoid;
pub use silu::Silu;
pub use softmax::{ClassFunction, LogSoftmax, OverClasses, Softmax, softmax};
pub use tanh::Tanh;
