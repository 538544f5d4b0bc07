use super::{chain::Network, shards::WeightedLoss};
use crate::{
    error::Error,
    loss::{Loss, Targets},
    optimizer::Optimizer,
};
use bn_layers::{Layer, LayerExt, Outcome, State, StateMut};
use bn_tensor::{Scalar, update};
use ndarray::ArrayView2;

/// The gradients of several micro-batches, which together make one update: a batch that is too large for
/// memory, in parts.
///
/// The gradient is that of the mean loss of all examples, whatever the sizes of the micro-batches, or of the
/// sum if the loss [is a sum](Loss::is_sum). A
/// BatchNormalization normalises each micro-batch by its own statistics and updates its running statistics
/// with each, as in PyTorch and Keras; for the statistics of all of them together see
/// [`Pass::sharded`](bn_layers::Pass::sharded).
///
/// ```
/// use bn_net::{Accumulator, IdentityWithLoss, Network, Sgd};
/// use ndarray::{Array2, Axis};
/// let mut network = Network::builder(2).affine(4).relu().affine(1).build(1)?;
/// let (mut loss, mut sgd) = (IdentityWithLoss::default(), Sgd::new(0.1)?);
/// let x = Array2::from_shape_fn((64, 2), |(n, d)| ((2 * n + d) as f32).sin());
/// let t = x.sum_axis(Axis(1)).insert_axis(Axis(1));
/// let mut accumulator = Accumulator::default();
/// for (x, t) in x.axis_chunks_iter(Axis(0), 16).zip(t.axis_chunks_iter(Axis(0), 16)) {
///     accumulator.add(&mut network, x, t.into(), &mut loss)?;
/// }
/// let mean_loss = accumulator.step(&mut network, &mut sgd, |_| Ok(()))?;
/// # assert!(mean_loss > 0.0);
/// # Ok::<(), bn_net::Error>(())
/// ```
///
/// The micro-batches and the update are one step: if any of them fails, the network is as it was before the
/// first.
#[derive(Debug, Clone)]
pub struct Accumulator<T> {
    sums: Vec<T>,       // Σ weight·grad of all parameters, one after another
    buffers: Vec<T>,    // of the network before the first micro-batch
    counters: Vec<u64>, // the same
    loss: f64,          // Σ weight·loss
    weight: f64,        // Σ weight
    is_sum: bool,       // of the loss
    micro_batches: usize,
    network: Option<u64>, // whose gradients they are
}

impl<T> Default for Accumulator<T> {
    fn default() -> Self {
        Self {
            sums: Vec::new(),
            buffers: Vec::new(),
            counters: Vec::new(),
            loss: 0.0,
            weight: 0.0,
            is_sum: false,
            micro_batches: 0,
            network: None,
        }
    }
}

impl<T: Scalar> Accumulator<T> {
    /// Adds the gradient of the micro-batch `x: (N, D)` with targets `t`, and returns its loss.
    ///
    /// # Errors
    /// As [`Network::train_step`]. The network is then as it was before the first micro-batch, and the
    /// accumulator is empty. [`Error::OtherNetwork`] for another network than that of the first micro-batch;
    /// nothing has changed then.
    pub fn add(
        &mut self,
        network: &mut Network<T>,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
    ) -> Result<f64, Error> {
        let is_sum = loss.is_sum();
        let value = self.add_from(network, is_sum, |n| n.weighted_gradient(x, t, loss))?;
        Ok(value.loss)
    }

    /// Adds the gradient that `gradient` leaves in the network; `is_sum` says whether the loss is a sum.
    /// Errors as [`add`](Self::add).
    pub(crate) fn add_from(
        &mut self,
        network: &mut Network<T>,
        is_sum: bool,
        gradient: impl FnOnce(&mut Network<T>) -> Result<WeightedLoss, Error>,
    ) -> Result<WeightedLoss, Error> {
        match self.micro_batches {
            0 => self.begin(network),
            _ => self.check_network(network)?,
        }
        match gradient(network) {
            Ok(value) => {
                network.settle(Outcome::Stands);
                self.is_sum = is_sum;
                self.add_gradient(network, value)?;
                Ok(value)
            }
            Err(error) => {
                self.cancel(network);
                Err(error)
            }
        }
    }

    /// Gives the network the mean gradient, calls `before_update`, which may change it, and updates the
    /// parameters. Returns the mean loss of all examples.
    ///
    /// # Errors
    /// The errors of `before_update` and the optimizer; [`Error::Accumulator`] without micro-batches;
    /// [`Error::OtherNetwork`] as [`add`](Self::add), and nothing has changed. After any other error the
    /// network is as it was before the first micro-batch, and the accumulator is empty.
    pub fn step(
        &mut self,
        network: &mut Network<T>,
        optimizer: &mut dyn Optimizer<T>,
        before_update: impl FnOnce(&mut Network<T>) -> Result<(), Error>,
    ) -> Result<f64, Error> {
        if self.micro_batches == 0 {
            return Err(Error::Accumulator);
        }
        self.check_network(network)?;
        // A weight of 0 means that no example counts; all sums are 0 then.
        let is_divided = !self.is_sum && self.weight != 0.0;
        let weight = if is_divided { self.weight } else { 1.0 };
        let scale = T::from_f64(1.0 / weight);
        let mut sums = self.sums.iter();
        network.visit_mut(&mut |p| {
            p.grad
                .iter_mut()
                .zip(&mut sums)
                .for_each(|(grad, &sum)| *grad = scale * sum);
        });
        let result = before_update(network).and_then(|()| optimizer.step(network));
        match result {
            Ok(()) => {
                self.micro_batches = 0;
                Ok(self.loss / weight)
            }
            Err(error) => {
                self.cancel(network);
                Err(error)
            }
        }
    }

    /// Forgets the micro-batches since the last update. Running statistics and random draws are as before
    /// the first of them. Another network is left as it is.
    pub fn cancel(&mut self, network: &mut Network<T>) {
        if self.micro_batches > 0 && self.check_network(network).is_ok() {
            self.micro_batches = 0;
            self.undo(network);
        }
    }

    /// The number of micro-batches since the last update.
    pub fn micro_batches(&self) -> usize {
        self.micro_batches
    }
}

impl<T: Scalar> Accumulator<T> {
    /// Keeps what training passes change, and sets the sums to zero.
    fn begin(&mut self, network: &mut Network<T>) {
        network.begin_step();
        self.buffers.clear();
        self.counters.clear();
        let (mut params, buffers, counters) = (0, &mut self.buffers, &mut self.counters);
        network.state(&mut |part| match part {
            State::Array(p) if p.grad.is_empty() => buffers.extend_from_slice(p.value),
            State::Array(p) => params += p.grad.len(),
            State::Counter(_, value) => counters.push(value),
        });
        self.sums.clear();
        self.sums.resize(params, T::zero());
        (self.loss, self.weight) = (0.0, 0.0);
        self.network = Some(network.identity.number());
    }

    fn check_network(&self, network: &Network<T>) -> Result<(), Error> {
        match self.network == Some(network.identity.number()) {
            true => Ok(()),
            false => Err(Error::OtherNetwork),
        }
    }

    /// `sums += weight·grad`
    fn add_gradient(
        &mut self,
        network: &Network<T>,
        WeightedLoss { loss, weight }: WeightedLoss,
    ) -> Result<(), Error> {
        let (factor, mut start, mut result) = (T::from_f64(weight), 0, Ok(()));
        // Each micro-batch has the penalty of weight decay, of which a sum may contain one.
        let has_penalty = self.is_sum && self.micro_batches > 0;
        network.visit(&mut |p| {
            let end = start + p.grad.len();
            let sums = &mut self.sums[start..end];
            if result.is_ok() {
                result = update(sums, p.grad, |sum, grad| *sum += factor * grad);
            }
            if result.is_ok() && has_penalty && p.penalty != 0.0 {
                let decay = factor * T::from_f64(p.penalty);
                result = update(sums, p.value, |sum, weight| *sum -= decay * weight);
            }
            start = end;
        });
        result?;
        let penalty = if has_penalty { network.penalty() } else { 0.0 };
        self.loss += weight * (loss - penalty);
        self.weight += weight;
        self.micro_batches += 1;
        Ok(())
    }

    /// Brings back what training passes have changed since the first micro-batch.
    fn undo(&mut self, network: &mut Network<T>) {
        network.begin_step();
        let (mut buffers, mut counters) = (self.buffers.iter(), self.counters.iter());
        network.state_mut(&mut |part| match part {
            StateMut::Array(p) if p.grad.is_empty() => {
                p.value
                    .iter_mut()
                    .zip(&mut buffers)
                    .for_each(|(to, &v)| *to = v);
            }
            StateMut::Array(_) => {}
            StateMut::Counter(_, to) => *to = counters.next().copied().unwrap_or(*to),
        });
    }
}
