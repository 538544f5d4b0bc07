use super::{
    safety::{Gradients, is_ordinary},
    settings::{check_lr, check_share},
    spec::OptimizerSpec,
    state::OptimizerState,
    step::Optimizer,
};
use crate::error::Error;
use bn_layers::ParamMut;
use bn_tensor::{Scalar, update_with_state};

/// The book's `Nesterov` (arXiv:1212.0901), which updates the parameters with the old velocity:
///
/// ```text
/// p = p + momentum²·v − (1 + momentum)·lr·g
/// v = momentum·v − lr·g
/// ```
///
/// (Until 2021 the book's code updated `v` first; this is the corrected order.) PyTorch's is
/// [`Sgd`](crate::Sgd) with momentum and `nesterov`; the two agree while the learning rate does
/// not change.
#[derive(Debug, Clone)]
pub struct Nesterov<T> {
    lr: f64,
    momentum: f64,
    velocity: OptimizerState<T>,
}

impl<T: Scalar> Nesterov<T> {
    /// With this learning rate and momentum; the book's defaults are 0.01 and 0.9.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a negative learning rate, or unless `0 ≤ momentum < 1`.
    pub fn new(lr: f64, momentum: f64) -> Result<Self, Error> {
        check_lr::<T>(lr)?;
        check_share("the momentum", momentum)?;
        let velocity = OptimizerState::new(1);
        Ok(Self {
            lr,
            momentum,
            velocity,
        })
    }
}

impl<T: Scalar> Optimizer<T> for Nesterov<T> {
    fn state(&self) -> Option<&OptimizerState<T>> {
        Some(&self.velocity)
    }

    fn state_mut(&mut self) -> Option<&mut OptimizerState<T>> {
        Some(&mut self.velocity)
    }

    fn update(&mut self, p: ParamMut<'_, T>) -> Result<(), Error> {
        let [lr, momentum] = [self.lr, self.momentum].map(T::from_f64);
        let v = self.velocity.get(p.name, p.value.len())?;
        update_with_state(p.value, v, p.grad, |p, v, g| {
            *p += momentum * momentum * *v - (T::one() + momentum) * lr * g;
            *v = momentum * *v - lr * g;
        })?;
        Ok(())
    }

    fn stays_finite(&self, gradients: &Gradients<'_, T>) -> bool {
        gradients.are_ordinary(0.0) && is_ordinary(self.lr, self.momentum, &self.velocity)
    }

    fn describe(&self) -> Option<OptimizerSpec> {
        let settings = [("momentum", self.momentum)];
        Some(OptimizerSpec::new("Nesterov", &settings))
    }

    fn learning_rate(&self) -> f64 {
        self.lr
    }

    fn set_learning_rate(&mut self, lr: f64) -> Result<(), Error> {
        check_lr::<T>(lr)?;
        self.lr = lr;
        Ok(())
    }
}
