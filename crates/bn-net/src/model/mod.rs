//! Named networks: the book's, a convolutional network with Batch Normalization, and residual networks.

mod batch_norm_conv_net;
mod multi_layer_net;
mod res_net;
mod simple_conv_net;

pub use batch_norm_conv_net::BatchNormConvNet;
pub use multi_layer_net::{HiddenActivation, MultiLayerNet, MultiLayerNetConfig, WeightInitStd};
pub use res_net::ResNet;
pub use simple_conv_net::SimpleConvNet;
