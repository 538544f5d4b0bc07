//! Losses, one in each file. `difference` has what those of regressions share.

mod binary_cross_entropy;
mod definition;
mod difference;
mod huber;
mod mean_absolute_error;
mod mean_squared_error;
mod reduction;
mod softmax;

pub use binary_cross_entropy::BinaryCrossEntropy;
pub use bn_data::Targets;
pub use definition::Loss;
pub use difference::{DifferenceFunction, DifferenceLoss};
pub use huber::Huber;
pub use mean_absolute_error::MeanAbsoluteError;
pub use mean_squared_error::{IdentityWithLoss, MeanSquaredError};
pub use reduction::Reduction;
pub use softmax::SoftmaxWithLoss;
