//! Convolutions of channels-last images.

mod config;
pub(crate) mod conv2d;
pub(crate) mod conv_transpose2d;
mod kernel;
mod layouts;

pub use config::Conv2dConfig;
pub use conv_transpose2d::ConvTranspose2d;
pub use conv2d::Conv2d;
pub use layouts::{
    images_to_channels_first, images_to_channels_last, kernel_from_pytorch, kernel_to_pytorch,
    transposed_kernel_from_pytorch, transposed_kernel_to_pytorch,
};
