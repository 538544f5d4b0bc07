use super::history::{History, Record};
use crate::{error::Error, network::Network, optimizer::Optimizer};
use bn_data::Targets;
use bn_tensor::Scalar;
use ndarray::{CowArray, Ix2};
use std::ops::ControlFlow;

/// What a [`Callback`] may change during training.
pub struct Training<'a, T: Scalar> {
    /// The network, for example to freeze a layer from some epoch on.
    pub network: &'a mut Network<T>,
    /// The optimizer.
    pub optimizer: &'a mut dyn Optimizer<T>,
}

/// Functions that [`Trainer::fit_with`](super::Trainer::fit_with) calls. Each of them does nothing unless it
/// is implemented. One that returns [`ControlFlow::Break`] ends the run.
///
/// A closure `FnMut(&Record, &Network) -> ControlFlow<()>` is a callback that is called after each
/// evaluation. A [`History`] is a callback that keeps every record.
///
/// ```
/// use bn_data::Digits;
/// use bn_net::{Callback, Error, Network, Sgd, SoftmaxWithLoss, Trainer, gradient_norm};
///
/// /// Keeps the norm of each step's gradient.
/// struct Norms(Vec<f64>);
///
/// impl Callback for Norms {
///     fn on_gradient(&mut self, network: &mut Network) -> Result<(), Error> {
///         self.0.push(gradient_norm(network));
///         Ok(())
///     }
/// }
///
/// let (train, _) = Digits::load()?.into_parts();
/// let mut network = Network::builder(64).affine(10).build(1)?;
/// let (mut loss, mut sgd, mut norms) = (SoftmaxWithLoss::new(), Sgd::new(0.1)?, Norms(Vec::new()));
/// let trainer = Trainer::new(64).iterations(5);
/// trainer.fit_with(&mut network, &mut loss, &mut sgd, &train, None, &mut norms)?;
/// assert_eq!(norms.0.len(), 5);
/// # Ok::<(), bn_net::Error>(())
/// ```
pub trait Callback<T: Scalar = f32>: Send {
    /// Called with the images `(B, D)` and the targets of each batch before it is trained on. The images may
    /// be changed; only then are they copied. To change labels or sizes, implement a
    /// [`BatchSource`](bn_data::BatchSource).
    ///
    /// ```
    /// use bn_data::Targets;
    /// use bn_net::{Callback, Training};
    /// use ndarray::{CowArray, Ix2};
    /// use std::ops::ControlFlow;
    ///
    /// /// Trains on negatives.
    /// struct Negatives;
    ///
    /// impl Callback for Negatives {
    ///     fn on_batch(
    ///         &mut self,
    ///         images: &mut CowArray<'_, f32, Ix2>,
    ///         _: Targets<'_, f32>,
    ///         _: Training<'_, f32>,
    ///     ) -> ControlFlow<()> {
    ///         images.mapv_inplace(|x| 1.0 - x);
    ///         ControlFlow::Continue(())
    ///     }
    /// }
    /// ```
    fn on_batch(
        &mut self,
        images: &mut CowArray<'_, T, Ix2>,
        targets: Targets<'_, T>,
        training: Training<'_, T>,
    ) -> ControlFlow<()> {
        let _ = (images, targets, training);
        ControlFlow::Continue(())
    }

    /// Called before each update. The network has the gradients, which may be changed.
    ///
    /// # Errors
    /// An error undoes the step and ends the run.
    fn on_gradient(&mut self, network: &mut Network<T>) -> Result<(), Error> {
        let _ = network;
        Ok(())
    }

    /// Called after each step with the number of steps so far and the step's loss.
    fn on_step(&mut self, iteration: u64, loss: f64, training: Training<'_, T>) -> ControlFlow<()> {
        let _ = (iteration, loss, training);
        ControlFlow::Continue(())
    }

    /// Called after each evaluation.
    fn on_record(&mut self, record: &Record, training: Training<'_, T>) -> ControlFlow<()> {
        let _ = (record, training);
        ControlFlow::Continue(())
    }
}

impl<T: Scalar, F> Callback<T> for F
where
    F: FnMut(&Record, &Network<T>) -> ControlFlow<()> + Send,
{
    fn on_record(&mut self, record: &Record, training: Training<'_, T>) -> ControlFlow<()> {
        self(record, training.network)
    }
}

/// Keeps every record, also those of a run that fails later.
impl<T: Scalar> Callback<T> for History {
    fn on_record(&mut self, record: &Record, _: Training<'_, T>) -> ControlFlow<()> {
        self.records.push(record.clone());
        ControlFlow::Continue(())
    }
}
