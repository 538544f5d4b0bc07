//! How parameters follow their gradients: one optimizer a file. The book's are in its
//! `common/optimizer.py`; where PyTorch's formula differs, the constructor says whose it is.

mod ada_grad;
mod adam;
mod adam_w;
mod momentum;
mod nesterov;
mod rms_prop;
mod sgd;
mod state;

pub use ada_grad::AdaGrad;
pub use adam::Adam;
pub use adam_w::AdamW;
pub use momentum::Momentum;
pub use nesterov::Nesterov;
pub use rms_prop::RmsProp;
pub use sgd::Sgd;
pub use state::OptimizerState;

use crate::{Error, error::check_setting};
use bn_layers::{Layer, ParamMut};
use bn_tensor::Scalar;

/// Moves parameters by their gradients. Its state is keyed by the parameter's name, so one
/// optimizer serves one network.
pub trait Optimizer<T: Scalar>: Send {
    /// What it remembers from step to step, for a checkpoint; `None` if it is nothing.
    fn state(&self) -> Option<&OptimizerState<T>> {
        None
    }

    /// The same, to be moved on or restored.
    fn state_mut(&mut self) -> Option<&mut OptimizerState<T>> {
        None
    }

    /// Begins a step, before the parameters are moved one after another.
    fn begin_step(&mut self) {
        if let Some(state) = self.state_mut() {
            state.begin_step();
        }
    }

    /// Whether a parameter of this name and length can be moved.
    ///
    /// # Errors
    /// [`Error::OptimizerState`] when this name was seen with another length.
    fn check(&self, name: &str, len: usize) -> Result<(), Error> {
        self.state().map_or(Ok(()), |state| state.check(name, len))
    }

    /// Moves one parameter `p.value` by its gradient `p.grad`.
    ///
    /// # Errors
    /// What [`check`](Self::check) refuses.
    fn update(&mut self, p: ParamMut<'_, T>) -> Result<(), Error>;

    /// The learning rate of the next step.
    fn learning_rate(&self) -> f64;

    /// Sets the learning rate of the next step, as a [`Schedule`](crate::Schedule) does.
    fn set_learning_rate(&mut self, lr: f64);

    /// One step: moves every trained parameter of `network` by its gradient.
    ///
    /// # Errors
    /// What [`check`](Self::check) refuses; then nothing has moved.
    fn step(&mut self, network: &mut dyn Layer<T>) -> Result<(), Error> {
        let mut result = Ok(());
        network.visit(&mut |p| {
            if p.kind.is_trained() && result.is_ok() {
                result = self.check(p.name, p.value.len());
            }
        });
        result?;
        self.begin_step();
        let mut result = Ok(());
        network.visit_mut(&mut |p| {
            if p.kind.is_trained() && result.is_ok() {
                result = self.update(p);
            }
        });
        result
    }
}

fn check_lr(lr: f64) -> Result<(), Error> {
    let passes = lr.is_finite() && lr >= 0.0;
    check_setting(
        "the learning rate",
        "a finite number, 0 or more",
        lr,
        passes,
    )
}

/// For a share that is kept from step to step.
fn check_share(what: &'static str, value: f64) -> Result<(), Error> {
    let passes = (0.0..1.0).contains(&value);
    check_setting(what, "at least 0 and below 1", value, passes)
}

fn check_weight_decay(value: f64) -> Result<(), Error> {
    let passes = value.is_finite() && value >= 0.0;
    check_setting(
        "the weight decay",
        "a finite number, 0 or more",
        value,
        passes,
    )
}
