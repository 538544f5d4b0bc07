//! Accuracy and confusion matrix.

mod classes;
mod confusion;

pub use confusion::ConfusionMatrix;
