//! Metrics of evaluations, and the ROC curve. `definition` has the trait; `class_rule` and `class_score` have what
//! several metrics share.

mod accuracy;
mod auc;
mod binary_accuracy;
mod class_rule;
mod class_score;
mod confusion;
mod definition;
mod mean_error;
mod precision_recall;
mod r2_score;
mod roc;
mod top_k;

pub use accuracy::Accuracy;
pub use auc::Auc;
pub use binary_accuracy::BinaryAccuracy;
pub use class_score::{Average, ClassScore, ScoreFunction};
pub use confusion::ConfusionMatrix;
pub use definition::Metric;
pub use mean_error::{ErrorFunction, Mae, MeanError, Mse, Rmse};
pub use precision_recall::{F1, Precision, Recall};
pub use r2_score::R2Score;
pub use roc::{RocCurve, roc_curve};
pub use top_k::TopK;
