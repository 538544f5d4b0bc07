//! How parameters follow their gradients: one optimizer a file. The book's are in its
//! `common/optimizer.py`; where PyTorch's formula differs, the constructor says whose it is.

mod ada_grad;
mod adam;
mod adam_w;
mod momentum;
mod nesterov;
mod rms_prop;
mod safety;
mod settings;
mod sgd;
mod state;
mod step;

pub use ada_grad::AdaGrad;
pub use adam::Adam;
pub use adam_w::AdamW;
pub use momentum::Momentum;
pub use nesterov::Nesterov;
pub use rms_prop::RmsProp;
pub use safety::Gradients;
pub use sgd::Sgd;
pub use state::OptimizerState;
pub use step::Optimizer;
