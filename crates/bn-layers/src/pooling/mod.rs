//! Layers of images without weights: windows that move over each image, and layers that repeat,
//! interpolate or add pixels. Rows are images, channels last.

mod avg_pool2d;
mod config;
mod images;
mod max_pool2d;
mod pad2d;
mod resample;
mod resize2d;
mod upsample2d;

pub use avg_pool2d::AvgPool2d;
pub use config::Pool2dConfig;
pub use max_pool2d::MaxPool2d;
pub use pad2d::{Pad2d, PadKind, ReflectPad2d, ZeroPad2d};
pub use resize2d::{Interpolation, Resize2d};
pub use upsample2d::Upsample2d;
