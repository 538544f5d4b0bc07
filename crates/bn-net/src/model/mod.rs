//! Named networks: the book's, and a convolutional network with Batch Normalization.

mod batch_norm_conv_net;
mod multi_layer_net;
mod simple_conv_net;

pub use batch_norm_conv_net::BatchNormConvNet;
pub use multi_layer_net::{HiddenActivation, MultiLayerNet, MultiLayerNetConfig, WeightInitStd};
pub use simple_conv_net::SimpleConvNet;
