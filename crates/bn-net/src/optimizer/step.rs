use super::{
    safety::{Gradients, not_finite},
    spec::OptimizerSpec,
    state::OptimizerState,
};
use crate::error::Error;
use bn_layers::{Layer, LayerExt, ParamMut};
use bn_tensor::{Scalar, check_setting, largest_magnitude};

/// Updates parameters by their gradients. Each network needs an optimizer of its own, because the
/// [state](Self::state) belongs to the network's parameters.
///
/// A step is all or nothing: after an error parameters and state are as before. (An optimizer that
/// keeps anything elsewhere must restore it itself.)
pub trait Optimizer<T: Scalar>: Send {
    /// What the optimizer keeps from step to step; `None` if it keeps nothing.
    fn state(&self) -> Option<&OptimizerState<T>> {
        None
    }

    /// The same, to change.
    fn state_mut(&mut self) -> Option<&mut OptimizerState<T>> {
        None
    }

    /// The optimizer's kind and settings, which a checkpoint compares before it restores the state;
    /// `None` for an optimizer that does not describe itself. Every optimizer of this crate does.
    fn describe(&self) -> Option<OptimizerSpec> {
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
    /// [`Error::OptimizerState`] if the state of this name has another length.
    fn check(&self, name: &str, len: usize) -> Result<(), Error> {
        self.state().map_or(Ok(()), |state| state.check(name, len))
    }

    /// Updates one parameter `p.value` by its gradient `p.grad`.
    ///
    /// # Errors
    /// What [`check`](Self::check) refuses.
    fn update(&mut self, p: ParamMut<'_, T>) -> Result<(), Error>;

    /// Whether parameters and state certainly stay finite in a step with these gradients, which are
    /// finite. If that is not certain, a step copies both first and checks them afterwards.
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

    /// The weight decay of the next step; 0 for an optimizer that has none.
    fn weight_decay(&self) -> f64 {
        0.0
    }

    /// Sets the weight decay of the next step, as [`ParamGroups`](crate::ParamGroups) does.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for one that is negative or not finite in `T`, or not 0 for an
    /// optimizer that has none.
    fn set_weight_decay(&mut self, weight_decay: f64) -> Result<(), Error> {
        let what = "the weight decay of an optimizer without one";
        Ok(check_setting(what, "0", weight_decay, weight_decay == 0.0)?)
    }

    /// One step: updates every trained parameter of `network` by its gradient.
    ///
    /// # Errors
    /// [`Error::OtherNetwork`] if the state belongs to another network; what
    /// [`check`](Self::check) refuses; [`Error::NonFinite`] for a gradient, or an updated
    /// parameter, that is not finite. Nothing has changed after an error.
    fn step(&mut self, network: &mut dyn Layer<T>) -> Result<(), Error> {
        let (mut result, mut of_network) = (Ok(()), None);
        network.visit(&mut |p| {
            of_network = p.network;
            if p.is_trained && result.is_ok() {
                result = self.check(p.name, p.value.len());
            }
        });
        result?;
        if let Some(state) = self.state() {
            state.check_network(of_network)?;
        }
        if self.stays_finite(&Gradients::of(network)?) {
            update_all(self, network)?;
        } else {
            update_or_restore(self, network)?;
        }
        if let Some(state) = self.state_mut() {
            state.set_network(of_network);
        }
        Ok(())
    }
}

/// Copies parameters and state first, and puts the copies back if the update fails or is not finite.
fn update_or_restore<T: Scalar>(
    optimizer: &mut (impl Optimizer<T> + ?Sized),
    network: &mut dyn Layer<T>,
) -> Result<(), Error> {
    let state = optimizer.state().cloned();
    let mut params = Vec::new();
    network.visit(&mut |p| {
        if p.is_trained {
            params.push(p.value.to_vec());
        }
    });
    let result = update_all(optimizer, network).and_then(|()| check_finite(optimizer, network));
    if result.is_err() {
        if let (Some(now), Some(before)) = (optimizer.state_mut(), state) {
            now.put_back(before);
        }
        restore(network, &params);
    }
    result
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
