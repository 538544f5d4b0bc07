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

/// The book's `Momentum`:
///
/// ```text
/// v = momentum·v − lr·g
/// p = p + v
/// ```
///
/// In PyTorch the learning rate is not part of the velocity: [`Sgd`](crate::Sgd) with momentum. The two
/// agree while the learning rate does not change.
#[derive(Debug, Clone)]
pub struct Momentum<T> {
    lr: f64,
    momentum: f64,
    velocity: OptimizerState<T>,
}

impl<T: Scalar> Momentum<T> {
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

impl<T: Scalar> Optimizer<T> for Momentum<T> {
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
            *v = momentum * *v - lr * g;
            *p += *v;
        })?;
        Ok(())
    }

    fn stays_finite(&self, gradients: &Gradients<'_, T>) -> bool {
        gradients.are_ordinary(0.0) && is_ordinary(self.lr, self.momentum, &self.velocity)
    }

    fn describe(&self) -> Option<OptimizerSpec> {
        let settings = [("momentum", self.momentum)];
        Some(OptimizerSpec::new("Momentum", &settings))
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
