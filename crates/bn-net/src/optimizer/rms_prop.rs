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

/// RMSProp (Tieleman and Hinton, 2012):
///
/// ```text
/// h = decay_rate·h + (1 − decay_rate)·g²
/// p = p − lr·g/(√h + eps)
/// ```
///
/// The book's eps is 1e-7 ([`RmsProp::book`]), PyTorch's 1e-8 ([`RmsProp::pytorch`]).
#[derive(Debug, Clone)]
pub struct RmsProp<T> {
    lr: f64,
    decay_rate: f64,
    eps: f64,
    h: OptimizerState<T>,
}

impl<T: Scalar> RmsProp<T> {
    /// The book's; its defaults are a learning rate of 0.01 and a decay rate of 0.99.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a negative learning rate, or unless `0 ≤ decay_rate < 1`.
    pub fn book(lr: f64, decay_rate: f64) -> Result<Self, Error> {
        Self::with(lr, decay_rate, 1e-7)
    }

    /// `torch.optim.RMSprop` with `alpha = decay_rate`.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a negative learning rate, or unless `0 ≤ decay_rate < 1`.
    pub fn pytorch(lr: f64, decay_rate: f64) -> Result<Self, Error> {
        Self::with(lr, decay_rate, 1e-8)
    }

    fn with(lr: f64, decay_rate: f64, eps: f64) -> Result<Self, Error> {
        check_lr::<T>(lr)?;
        check_share("the decay rate", decay_rate)?;
        Ok(Self {
            lr,
            decay_rate,
            eps,
            h: OptimizerState::new(1).with_squares(1),
        })
    }
}

impl<T: Scalar> Optimizer<T> for RmsProp<T> {
    fn state(&self) -> Option<&OptimizerState<T>> {
        Some(&self.h)
    }

    fn state_mut(&mut self) -> Option<&mut OptimizerState<T>> {
        Some(&mut self.h)
    }

    fn update(&mut self, p: ParamMut<'_, T>) -> Result<(), Error> {
        let [lr, kept, eps] = [self.lr, self.decay_rate, self.eps].map(T::from_f64);
        let added = T::from_f64(1.0 - self.decay_rate);
        let h = self.h.get(p.name, p.value.len())?;
        update_with_state(p.value, h, p.grad, |p, h, g| {
            *h = kept * *h + added * g * g;
            *p -= lr * g / (h.sqrt() + eps);
        })?;
        Ok(())
    }

    fn stays_finite(&self, gradients: &Gradients<'_, T>) -> bool {
        gradients.are_ordinary(0.0) && is_ordinary(self.lr, self.decay_rate, &self.h)
    }

    fn describe(&self) -> Option<OptimizerSpec> {
        let settings = [("decay_rate", self.decay_rate), ("eps", self.eps)];
        Some(OptimizerSpec::new("RmsProp", &settings))
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
