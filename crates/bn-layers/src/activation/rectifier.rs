use super::{leaky_relu::LeakyRelu, relu::Relu};

/// An activation so cheap that the layer before it computes it in its own pass over memory.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rectifier {
    Relu(Relu),
    LeakyRelu(LeakyRelu),
}

impl Rectifier {
    /// The factor of negative values.
    pub(crate) fn slope(self) -> f64 {
        match self {
            Self::Relu(_) => 0.0,
            Self::LeakyRelu(leaky_relu) => leaky_relu.slope(),
        }
    }
}
