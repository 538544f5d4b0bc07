use super::{
    safety::{Gradients, is_ordinary},
    settings::{check_lr, check_share, check_weight_decay},
    spec::OptimizerSpec,
    state::OptimizerState,
    step::Optimizer,
};
use crate::error::Error;
use bn_layers::ParamMut;
use bn_tensor::{Scalar, update, update_with_state};

/// Stochastic gradient descent: the book's `SGD`, with the options of `torch.optim.SGD`.
///
/// ```text
/// g = g + weight_decay·p
/// v = momentum·v + g                       (v = g at the first step)
/// p = p − lr·g                             without momentum
/// p = p − lr·v                             with momentum
/// p = p − lr·(g + momentum·v)              with momentum and nesterov
/// ```
///
/// The book's momentum is [`Momentum`](crate::Momentum), whose velocity contains the learning
/// rate.
///
/// ```
/// use bn_net::Sgd;
/// let sgd = Sgd::<f32>::new(0.1)?.with_momentum(0.9)?.with_nesterov().with_weight_decay(1e-4)?;
/// # Ok::<(), bn_net::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sgd<T> {
    lr: f64,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    velocity: OptimizerState<T>,
}

impl<T: Scalar> Sgd<T> {
    /// Plain SGD with this learning rate; the book's default is 0.01.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a learning rate that is negative or not finite in `T`.
    pub fn new(lr: f64) -> Result<Self, Error> {
        check_lr::<T>(lr)?;
        Ok(Self {
            lr,
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            velocity: OptimizerState::new(1),
        })
    }

    /// The same with momentum.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] unless `0 ≤ momentum < 1`.
    pub fn with_momentum(mut self, momentum: f64) -> Result<Self, Error> {
        check_share("the momentum", momentum)?;
        self.momentum = momentum;
        Ok(self)
    }

    /// The same with Nesterov's momentum; it has an effect only with momentum.
    #[must_use]
    pub fn with_nesterov(mut self) -> Self {
        self.nesterov = true;
        self
    }

    /// The same with weight decay on every trained parameter, as in PyTorch. (The book's decays only
    /// weights; for that, use [`NetworkBuilder::weight_decay`](crate::NetworkBuilder::weight_decay).)
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a negative or non-finite weight decay.
    pub fn with_weight_decay(mut self, weight_decay: f64) -> Result<Self, Error> {
        check_weight_decay::<T>(weight_decay)?;
        self.weight_decay = weight_decay;
        Ok(self)
    }
}

impl<T: Scalar> Optimizer<T> for Sgd<T> {
    fn state(&self) -> Option<&OptimizerState<T>> {
        Some(&self.velocity)
    }

    fn state_mut(&mut self) -> Option<&mut OptimizerState<T>> {
        Some(&mut self.velocity)
    }

    fn update(&mut self, p: ParamMut<'_, T>) -> Result<(), Error> {
        let [lr, momentum, decay] = [self.lr, self.momentum, self.weight_decay].map(T::from_f64);
        if self.momentum == 0.0 {
            update(p.value, p.grad, |p, g| *p -= lr * (g + decay * *p))?;
            return Ok(());
        }
        let v = self.velocity.get(p.name, p.value.len())?;
        let nesterov = self.nesterov;
        update_with_state(p.value, v, p.grad, |p, v, g| {
            let g = g + decay * *p;
            *v = momentum * *v + g;
            *p -= lr * if nesterov { g + momentum * *v } else { *v };
        })?;
        Ok(())
    }

    fn stays_finite(&self, gradients: &Gradients<'_, T>) -> bool {
        gradients.are_ordinary(self.weight_decay)
            && is_ordinary(self.lr, self.momentum, &self.velocity)
    }

    fn describe(&self) -> Option<OptimizerSpec> {
        let settings = [
            ("momentum", self.momentum),
            ("nesterov", f64::from(u8::from(self.nesterov))),
            ("weight_decay", self.weight_decay),
        ];
        Some(OptimizerSpec::new("Sgd", &settings))
    }

    fn learning_rate(&self) -> f64 {
        self.lr
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
        check_lr::<T>(lr)?;
        self.lr = lr;
        Ok(())
    }
}
