use super::{
    safety::{Gradients, not_finite},
    state::OptimizerState,
};
use crate::error::Error;
use bn_layers::{Layer, LayerExt, ParamMut};
use bn_tensor::{Scalar, largest_magnitude};

/// Updates parameters by their gradients. Its state is keyed by the parameter's name, so one
/// optimizer serves one network.
///
/// A step is all or nothing: after an error parameters and [state](Self::state) are as before. (What
/// an optimizer keeps elsewhere it must restore itself.)
pub trait Optimizer<T: Scalar>: Send {
    /// What it remembers from step to step, for a checkpoint; `None` if that is nothing.
    fn state(&self) -> Option<&OptimizerState<T>> {
        None
    }

    /// The same, to change.
    fn state_mut(&mut self) -> Option<&mut OptimizerState<T>> {
        None
    }

    /// Begins a step, before the parameters are updated one after another.
    fn begin_step(&mut self) {
        if let Some(state) = self.state_mut() {
            state.begin_step();
        }
    }

    /// Whether a parameter of this name and length can be updated.
    ///
    /// # Errors
    /// [`Error::OptimizerState`] when this name was seen with another length.
    fn check(&self, name: &str, len: usize) -> Result<(), Error> {
        self.state().map_or(Ok(()), |state| state.check(name, len))
    }

    /// Updates one parameter `p.value` by its gradient `p.grad`.
    ///
    /// # Errors
    /// What [`check`](Self::check) refuses.
    fn update(&mut self, p: ParamMut<'_, T>) -> Result<(), Error>;

    /// Whether parameters and state certainly stay finite in a step by these gradients, which are
    /// finite. Where that is not certain, a step copies both first, and looks through them
    /// afterwards.
    fn stays_finite(&self, gradients: &Gradients<'_, T>) -> bool {
        let _ = gradients;
        false
    }

    /// The learning rate of the next step.
    fn learning_rate(&self) -> f64;

    /// Sets the learning rate of the next step, as a [`Schedule`](crate::Schedule) does.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for one that is negative or not finite in `T`.
    fn set_learning_rate(&mut self, lr: f64) -> Result<(), Error>;

    /// One step: updates every trained parameter of `network` by its gradient.
    ///
    /// # Errors
    /// What [`check`](Self::check) refuses; [`Error::NonFinite`] for a gradient, or an updated
    /// parameter, that is not finite. Then nothing has changed.
    fn step(&mut self, network: &mut dyn Layer<T>) -> Result<(), Error> {
        let mut result = Ok(());
        network.visit(&mut |p| {
            if p.is_trained && result.is_ok() {
                result = self.check(p.name, p.value.len());
            }
        });
        result?;
        if self.stays_finite(&Gradients::of(network)?) {
            return update_all(self, network);
        }
        let state = self.state().cloned();
        let mut params = Vec::new();
        network.visit(&mut |p| {
            if p.is_trained {
                params.push(p.value.to_vec());
            }
        });
        let result = update_all(self, network).and_then(|()| check_finite(self, network));
        if result.is_err() {
            if let (Some(now), Some(before)) = (self.state_mut(), state) {
                *now = before;
            }
            restore(network, &params);
        }
        result
    }
}

fn update_all<T: Scalar>(
    optimizer: &mut (impl Optimizer<T> + ?Sized),
    network: &mut dyn Layer<T>,
) -> Result<(), Error> {
    optimizer.begin_step();
    let mut result = Ok(());
    network.visit_mut(&mut |p| {
        if p.is_trained && result.is_ok() {
            result = optimizer.update(p);
        }
    });
    result
}

/// `Ok` when all parameters and the optimizer's state are finite.
fn check_finite<T: Scalar>(
    optimizer: &mut (impl Optimizer<T> + ?Sized),
    network: &dyn Layer<T>,
) -> Result<(), Error> {
    let mut result = Ok(());
    network.visit(&mut |p| {
        if p.is_trained && result.is_ok() && !largest_magnitude(p.value).is_finite() {
            result = Err(not_finite(format!("the updated {}", p.name)));
        }
    });
    result?;
    let state = optimizer.state_mut();
    match state.and_then(OptimizerState::look_through) {
        Some(name) => Err(not_finite(format!("the optimizer's state of {name}"))),
        None => Ok(()),
    }
}

fn restore<T: Scalar>(network: &mut dyn Layer<T>, params: &[Vec<T>]) {
    let mut params = params.iter();
    network.visit_mut(&mut |p| {
        if p.is_trained
            && let Some(before) = params.next()
        {
            p.value.copy_from_slice(before);
        }
    });
}
