//! How well a network does.

mod classes;
mod confusion;

pub use confusion::ConfusionMatrix;
