use crate::{
    error::Error,
    loss::{Loss, Targets},
    network::{Network, WeightedLoss},
    optimizer::Optimizer,
};
use bn_data::BatchPart;
use bn_layers::{Layer, Outcome};
use bn_tensor::Scalar;
use ndarray::ArrayView2;
use std::path::Path;

/// How several processes train one network together (Keras' `tf.distribute.Strategy`): each has the same
/// network and a part of each batch. The crate `bn-dist` has one over MPI.
///
/// All processes must make the same calls in the same order.
pub trait Strategy<T: Scalar> {
    /// The part of each batch that this process trains on.
    fn part(&self) -> BatchPart;

    /// Whether this process shows progress and writes files. Exactly one does.
    fn is_writer(&self) -> bool;

    /// The bytes of a file as the writer sees it; `None` if there is none.
    ///
    /// # Errors
    /// If the file cannot be read, or a process cannot be reached.
    fn read(&mut self, path: &Path) -> Result<Option<Vec<u8>>, Error>;

    /// Begins a pass over a batch of which this process has `rows` rows, and makes sure that all processes
    /// are at the same step with the same settings. `settings` describes the run. Returns whether any
    /// process wants to stop.
    ///
    /// # Errors
    /// If the processes differ, or one cannot be reached.
    fn begin(
        &mut self,
        network: &Network<T>,
        optimizer: &dyn Optimizer<T>,
        settings: &str,
        rows: usize,
        wants_to_stop: bool,
    ) -> Result<bool, Error>;

    /// The loss of the whole batch, of which `x: (N, D)` are the rows of this process. The network then has
    /// the gradient of that loss. The caller settles the step.
    ///
    /// # Errors
    /// As [`Network::gradient`], or if a process cannot be reached.
    fn gradient(
        &mut self,
        network: &mut Network<T>,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
    ) -> Result<WeightedLoss, Error>;

    /// [`gradient`](Self::gradient), `before_update`, and the optimizer's step, as one step that succeeds or
    /// changes nothing ([`Network::train_step_with`]).
    ///
    /// # Errors
    /// Those of the three.
    fn train_step(
        &mut self,
        network: &mut Network<T>,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
        optimizer: &mut dyn Optimizer<T>,
        before_update: &mut dyn FnMut(&mut Network<T>) -> Result<(), Error>,
    ) -> Result<WeightedLoss, Error> {
        let value = self.gradient(network, x, t, loss)?;
        let result = before_update(network).and_then(|()| optimizer.step(network));
        network.settle(match result {
            Ok(()) => Outcome::Stands,
            Err(_) => Outcome::TakenBack,
        });
        result.map(|()| value)
    }
}
