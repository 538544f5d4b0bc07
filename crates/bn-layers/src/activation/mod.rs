//! Element-wise functions, one per file. Each is a layer.

mod definition;
mod identity;
mod leaky_relu;
mod rectifier;
mod relu;
mod sigmoid;
mod tanh;

pub use definition::Activation;
pub use identity::Identity;
pub use leaky_relu::LeakyRelu;
pub(crate) use rectifier::Rectifier;
pub use relu::Relu;
pub use sigmoid::Sigmoid;
pub use tanh::Tanh;
