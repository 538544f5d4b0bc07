//! Layers of images without weights: windows that move over each image, and layers that repeat,
//! interpolate or add pixels. Rows are images, channels last.

pub(crate) mod avg_pool2d;
mod config;
pub(crate) mod images;
pub(crate) mod max_pool2d;
pub(crate) mod pad2d;
mod resample;
pub(crate) mod resize2d;
pub(crate) mod upsample2d;

pub use avg_pool2d::AvgPool2d;
pub use config::Pool2dConfig;
pub use max_pool2d::MaxPool2d;
pub use pad2d::{Pad2d, PadKind, ReflectPad2d, ZeroPad2d};
pub use resize2d::{Interpolation, Resize2d};
pub use upsample2d::Upsample2d;
