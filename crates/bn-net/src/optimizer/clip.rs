use super::safety::not_finite;
use crate::error::Error;
use bn_layers::{Layer, LayerExt};
use bn_tensor::{Scalar, check_setting, sum_of_squares};

/// A limit on gradients, which keeps a single step from moving the parameters too far.
///
/// ```
/// use bn_layers::LayerExt;
/// use bn_net::{Clip, IdentityWithLoss, Network, gradient_norm};
/// use ndarray::array;
/// let mut network = Network::builder(1).affine(1).build(1)?;
/// let (x, t) = (array![[100.0], [-100.0]], array![[0.0], [0.0]]);
/// network.gradient(x.view(), t.view().into(), &mut IdentityWithLoss::default())?;
/// let norm = Clip::Norm(1.0).apply(&mut network)?;
/// assert!(norm > 1.0 && (gradient_norm(&network) - 1.0).abs() < 1e-6);
/// # Ok::<(), bn_net::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Clip {
    /// The norm of all gradients together is at most this. If it is larger, all gradients are multiplied by
    /// `limit / norm` (`torch.nn.utils.clip_grad_norm_`, Keras' `global_clipnorm`).
    Norm(f64),
    /// Each value lies between `-limit` and `limit` (`torch.nn.utils.clip_grad_value_`, Keras' `clipvalue`).
    Value(f64),
}

impl Clip {
    /// Clips the gradients of all trained parameters of a network, and returns their
    /// [norm](gradient_norm) before.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a limit that is not positive and finite;
    /// [`Error::NonFinite`] for a gradient that is not finite. The gradients are unchanged then.
    pub fn apply<T: Scalar>(self, network: &mut dyn Layer<T>) -> Result<f64, Error> {
        self.check()?;
        let norm = gradient_norm(network);
        if !norm.is_finite() {
            return Err(not_finite("the norm of the gradients".to_owned()));
        }
        match self {
            // In double precision: the factor may be too small for an `f32`.
            Self::Norm(limit) if norm > limit => {
                for_each_gradient(network, |g| T::from_f64(g.as_f64() * (limit / norm)))
            }
            Self::Norm(_) => {}
            Self::Value(limit) => {
                let limit = T::from_f64(limit);
                for_each_gradient(network, |g| g.max(-limit).min(limit));
            }
        }
        Ok(norm)
    }

    /// Returns `Ok` for a limit that is positive and finite.
    pub(crate) fn check(self) -> Result<(), Error> {
        let (Self::Norm(limit) | Self::Value(limit)) = self;
        let passes = limit > 0.0 && limit.is_finite();
        let range = "a finite number above 0";
        Ok(check_setting(
            "the limit of gradients",
            range,
            limit,
            passes,
        )?)
    }
}

fn for_each_gradient<T: Scalar>(network: &mut dyn Layer<T>, f: impl Fn(T) -> T) {
    network.visit_mut(&mut |p| {
        if p.is_trained {
            p.grad.iter_mut().for_each(|g| *g = f(*g));
        }
    });
}

/// The norm `√(Σ grad²)` of the gradients of all trained parameters of a network, in double precision.
pub fn gradient_norm<T: Scalar>(network: &dyn Layer<T>) -> f64 {
    let mut squares = 0.0;
    network.visit(&mut |p| {
        if p.is_trained {
            squares += sum_of_squares(p.grad);
        }
    });
    squares.sqrt()
}
