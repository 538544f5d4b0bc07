use super::{
    safety::{Gradients, is_ordinary},
    settings::{check_lr, check_share, check_weight_decay},
    spec::OptimizerSpec,
    state::OptimizerState,
    step::Optimizer,
};
use crate::error::Error;
use bn_layers::ParamMut;
use bn_tensor::{Scalar, update_with_two_states};

/// Adam (arXiv:1412.6980), at step t = 1, 2, …:
///
/// ```text
/// g  = g + weight_decay·p
/// m  = beta1·m + (1 − beta1)·g
/// v  = beta2·v + (1 − beta2)·g²
/// c1 = 1 − beta1ᵗ     c2 = 1 − beta2ᵗ
/// p  = p − lr·√c2/c1·m/(√v + eps)        the book's and Keras' (eps 1e-7)
/// p  = p − lr/c1·m/(√(v/c2) + eps)       PyTorch's and the paper's Algorithm 1 (eps 1e-8)
/// ```
///
/// The two differ in where eps is added. In [`AdamW`](crate::AdamW) the decay is not part of the gradient.
///
/// ```
/// use bn_net::Adam;
/// let book = Adam::<f32>::book(0.001)?;
/// let dcgan = Adam::<f32>::book(2e-4)?.with_betas(0.5, 0.999)?;
/// # Ok::<(), bn_net::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Adam<T> {
    lr: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
    eps_after_correction: bool,
    weight_decay: f64,
    m_v: OptimizerState<T>,
}

impl<T: Scalar> Adam<T> {
    /// The book's and Keras' form, beta1 0.9, beta2 0.999, eps 1e-7; the book's default learning
    /// rate is 0.001.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a learning rate that is negative or not finite in `T`.
    pub fn book(lr: f64) -> Result<Self, Error> {
        Self::with(lr, 1e-7, false)
    }

    /// `torch.optim.Adam`: beta1 0.9, beta2 0.999, eps 1e-8.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a learning rate that is negative or not finite in `T`.
    pub fn pytorch(lr: f64) -> Result<Self, Error> {
        Self::with(lr, 1e-8, true)
    }

    fn with(lr: f64, eps: f64, eps_after_correction: bool) -> Result<Self, Error> {
        check_lr::<T>(lr)?;
        Ok(Self {
            lr,
            beta1: 0.9,
            beta2: 0.999,
            eps,
            eps_after_correction,
            weight_decay: 0.0,
            m_v: OptimizerState::new(2).with_squares(1),
        })
    }

    /// The same with these decay rates of m and v.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] unless both are at least 0 and below 1.
    pub fn with_betas(mut self, beta1: f64, beta2: f64) -> Result<Self, Error> {
        check_share("beta1", beta1)?;
        check_share("beta2", beta2)?;
        (self.beta1, self.beta2) = (beta1, beta2);
        Ok(self)
    }

    /// The same with weight decay in the gradient (L2), as `torch.optim.Adam` has it.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a negative or non-finite weight decay.
    pub fn with_weight_decay(mut self, weight_decay: f64) -> Result<Self, Error> {
        check_weight_decay::<T>(weight_decay)?;
        self.weight_decay = weight_decay;
        Ok(self)
    }
}

impl<T: Scalar> Optimizer<T> for Adam<T> {
    fn state(&self) -> Option<&OptimizerState<T>> {
        Some(&self.m_v)
    }

    fn state_mut(&mut self) -> Option<&mut OptimizerState<T>> {
        Some(&mut self.m_v)
    }

    fn update(&mut self, p: ParamMut<'_, T>) -> Result<(), Error> {
        let t = self.m_v.steps().max(1) as f64;
        let (c1, c2) = (1.0 - self.beta1.powf(t), 1.0 - self.beta2.powf(t));
        // PyTorch's √(v/c2) + eps, brought to the book's form, has an eps of √c2·eps.
        let eps = if self.eps_after_correction {
            self.eps * c2.sqrt()
        } else {
            self.eps
        };
        let [lr_t, eps, beta1, beta2, decay] = [
            self.lr * c2.sqrt() / c1,
            eps,
            self.beta1,
            self.beta2,
            self.weight_decay,
        ]
        .map(T::from_f64);
        let [added1, added2] = [1.0 - self.beta1, 1.0 - self.beta2].map(T::from_f64);
        let m_v = self.m_v.get(p.name, p.value.len())?;
        let m_v = m_v.split_at_mut(p.value.len());
        update_with_two_states(p.value, m_v, p.grad, |p, m, v, g| {
            let g = g + decay * *p;
            *m = beta1 * *m + added1 * g;
            *v = beta2 * *v + added2 * g * g;
            *p -= lr_t * *m / (v.sqrt() + eps);
        })?;
        Ok(())
    }

    fn stays_finite(&self, gradients: &Gradients<'_, T>) -> bool {
        let kept = self.beta1.max(self.beta2);
        gradients.are_ordinary(self.weight_decay) && is_ordinary(self.lr, kept, &self.m_v)
    }

    fn describe(&self) -> Option<OptimizerSpec> {
        let kind = match self.eps_after_correction {
            true => "Adam::pytorch",
            false => "Adam::book",
        };
        let settings = [
            ("beta1", self.beta1),
            ("beta2", self.beta2),
            ("eps", self.eps),
            ("weight_decay", self.weight_decay),
        ];
        Some(OptimizerSpec::new(kind, &settings))
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
