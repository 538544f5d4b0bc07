//! Optimizers, one per file. The book's are in its `common/optimizer.py`. Where PyTorch's formula
//! differs, there is a constructor for each.

mod ada_grad;
mod adam;
mod adam_w;
mod clip;
mod momentum;
mod nesterov;
mod param_groups;
mod rms_prop;
mod safety;
mod settings;
mod sgd;
mod spec;
mod state;
mod step;

pub use ada_grad::AdaGrad;
pub use adam::Adam;
pub use adam_w::AdamW;
pub use clip::{Clip, gradient_norm};
pub use momentum::Momentum;
pub use nesterov::Nesterov;
pub use param_groups::{ParamGroup, ParamGroups};
pub use rms_prop::RmsProp;
pub use safety::Gradients;
pub use sgd::Sgd;
pub use spec::OptimizerSpec;
pub use state::OptimizerState;
pub use step::Optimizer;
