//! Layers that move a window over each image without weights, or repeat its pixels. Rows are
//! images, channels last.

mod avg_pool2d;
mod images;
mod max_pool2d;
mod upsample2d;

pub use avg_pool2d::AvgPool2d;
pub use max_pool2d::MaxPool2d;
pub use upsample2d::Upsample2d;
