use super::{
    safety::{Gradients, is_ordinary},
    settings::check_lr,
    spec::OptimizerSpec,
    state::OptimizerState,
    step::Optimizer,
};
use crate::error::Error;
use bn_layers::ParamMut;
use bn_tensor::{Scalar, update_with_state};

/// AdaGrad (Duchi, Hazan and Singer, 2011):
///
/// ```text
/// h = h + g²
/// p = p − lr·g/(√h + eps)
/// ```
///
/// The book's eps is 1e-7 ([`AdaGrad::book`]), PyTorch's 1e-10 ([`AdaGrad::pytorch`]).
#[derive(Debug, Clone)]
pub struct AdaGrad<T> {
    lr: f64,
    eps: f64,
    h: OptimizerState<T>,
}

impl<T: Scalar> AdaGrad<T> {
    /// The book's; its default learning rate is 0.01.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a learning rate that is negative or not finite in `T`.
    pub fn book(lr: f64) -> Result<Self, Error> {
        Self::with(lr, 1e-7)
    }

    /// `torch.optim.Adagrad`.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a learning rate that is negative or not finite in `T`.
    pub fn pytorch(lr: f64) -> Result<Self, Error> {
        Self::with(lr, 1e-10)
    }

    fn with(lr: f64, eps: f64) -> Result<Self, Error> {
        check_lr::<T>(lr)?;
        let h = OptimizerState::new(1).with_squares(1);
        Ok(Self { lr, eps, h })
    }
}

impl<T: Scalar> Optimizer<T> for AdaGrad<T> {
    fn state(&self) -> Option<&OptimizerState<T>> {
        Some(&self.h)
    }

    fn state_mut(&mut self) -> Option<&mut OptimizerState<T>> {
        Some(&mut self.h)
    }

    fn update(&mut self, p: ParamMut<'_, T>) -> Result<(), Error> {
        let [lr, eps] = [self.lr, self.eps].map(T::from_f64);
        let h = self.h.get(p.name, p.value.len())?;
        update_with_state(p.value, h, p.grad, |p, h, g| {
            *h += g * g;
            *p -= lr * g / (h.sqrt() + eps);
        })?;
        Ok(())
    }

    fn stays_finite(&self, gradients: &Gradients<'_, T>) -> bool {
        gradients.are_ordinary(0.0) && is_ordinary(self.lr, 0.0, &self.h)
    }

    fn describe(&self) -> Option<OptimizerSpec> {
        Some(OptimizerSpec::new("AdaGrad", &[("eps", self.eps)]))
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
