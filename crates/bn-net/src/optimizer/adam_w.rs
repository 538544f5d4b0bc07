use super::{
    adam::Adam, safety::Gradients, settings::check_weight_decay, spec::OptimizerSpec,
    state::OptimizerState, step::Optimizer,
};
use crate::error::Error;
use bn_layers::ParamMut;
use bn_tensor::{Scalar, update};

/// AdamW (arXiv:1711.05101, `torch.optim.AdamW`): PyTorch's [`Adam`] after
///
/// ```text
/// p = p − lr·weight_decay·p
/// ```
#[derive(Debug, Clone)]
pub struct AdamW<T> {
    adam: Adam<T>,
    weight_decay: f64,
}

impl<T: Scalar> AdamW<T> {
    /// With this learning rate and weight decay; PyTorch's defaults are 0.001 and 0.01.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a negative or non-finite number.
    pub fn new(lr: f64, weight_decay: f64) -> Result<Self, Error> {
        check_weight_decay::<T>(weight_decay)?;
        let adam = Adam::pytorch(lr)?;
        Ok(Self { adam, weight_decay })
    }

    /// The same with these decay rates of m and v.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] unless both are at least 0 and below 1.
    pub fn with_betas(mut self, beta1: f64, beta2: f64) -> Result<Self, Error> {
        self.adam = self.adam.with_betas(beta1, beta2)?;
        Ok(self)
    }
}

impl<T: Scalar> Optimizer<T> for AdamW<T> {
    fn state(&self) -> Option<&OptimizerState<T>> {
        self.adam.state()
    }

    fn state_mut(&mut self) -> Option<&mut OptimizerState<T>> {
        self.adam.state_mut()
    }

    fn update(&mut self, p: ParamMut<'_, T>) -> Result<(), Error> {
        let decay = T::from_f64(self.adam.learning_rate() * self.weight_decay);
        update(p.value, p.grad, |p, _| *p -= decay * *p)?;
        self.adam.update(p)
    }

    fn stays_finite(&self, gradients: &Gradients<'_, T>) -> bool {
        // The decay only shrinks parameters.
        self.adam.learning_rate() * self.weight_decay <= 1.0 && self.adam.stays_finite(gradients)
    }

    fn describe(&self) -> Option<OptimizerSpec> {
        let spec = self.adam.describe()?;
        let optimizer = "AdamW".to_owned();
        let mut settings = spec.settings;
        settings.insert("weight_decay".to_owned(), self.weight_decay);
        Some(OptimizerSpec {
            optimizer,
            settings,
        })
    }

    fn learning_rate(&self) -> f64 {
        self.adam.learning_rate()
    }

    fn weight_decay(&self) -> f64 {
        self.weight_decay
    }

    fn set_weight_decay(&mut self, weight_decay: f64) -> Result<(), Error> {
        check_weight_decay::<T>(weight_decay)?;
        self.weight_decay = weight_decay;
        Ok(())
    }

    fn set_learning_rate(&mut self, lr: f64) -> Result<(), Error> {
        self.adam.set_learning_rate(lr)
    }
}
