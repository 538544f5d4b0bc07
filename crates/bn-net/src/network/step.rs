//! One step of training.

use super::{
    buffers::{grow, matrix_mut},
    chain::Network,
    passes::Wanted,
    shards::WeightedLoss,
};
use crate::{
    error::Error,
    loss::{Loss, Targets},
    optimizer::Optimizer,
};
use bn_layers::{Layer, LayerExt, Mode, Outcome, Pass};
use bn_tensor::{Scalar, enter_pool};
use ndarray::ArrayView2;

impl<T: Scalar> Network<T> {
    /// One step of training on the batch `x: (N, D)` with targets `t`: forward, loss, backward,
    /// and the optimizer's update. Returns the loss before the update, including the penalty of any weight
    /// decay. A warm step allocates nothing. Some steps are [timed](Self::set_adaptive_threads) on one
    /// thread; the bits are the same.
    ///
    /// # Errors
    /// The network's, the loss's and the optimizer's; [`Error::NonFinite`] if the loss, a gradient, a
    /// running statistic or an updated parameter is not finite, because of a NaN in `x` or a learning rate
    /// that is too large. After any error the parameters, the running statistics, random draws and the
    /// optimizer are unchanged.
    pub fn train_step(
        &mut self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
        optimizer: &mut dyn Optimizer<T>,
    ) -> Result<f64, Error> {
        self.train_step_with(x, t, loss, optimizer, |_| Ok(()))
    }

    /// [`train_step`](Self::train_step), which calls `before_update` between the backward pass and the
    /// optimizer's update, to read or change the gradients:
    ///
    /// ```
    /// use bn_net::{Clip, IdentityWithLoss, Network, Sgd};
    /// use ndarray::array;
    /// let mut network = Network::builder(1).affine(4).batch_norm().relu().affine(1).build(1)?;
    /// let (mut loss, mut sgd) = (IdentityWithLoss::default(), Sgd::new(0.1)?);
    /// let (x, t) = (array![[0.0], [1.0], [2.0]], array![[1.0], [3.0], [5.0]]);
    /// for _ in 0..50 {
    ///     network.train_step_with(x.view(), t.view().into(), &mut loss, &mut sgd, |network| {
    ///         Clip::Norm(1.0).apply(network).map(|_norm| ())
    ///     })?;
    /// }
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`train_step`](Self::train_step), and those of `before_update`.
    pub fn train_step_with(
        &mut self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
        optimizer: &mut dyn Optimizer<T>,
        before_update: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<f64, Error> {
        let mut threads = self.threads;
        let result = enter_pool(|| {
            threads.run(x.nrows(), || {
                self.transaction(|network| {
                    let value = network.loss_and_gradient(x, t, loss, &Pass::new(Mode::Train))?;
                    before_update(network)?;
                    optimizer.step(network)?;
                    Ok(value.loss)
                })
            })
        });
        self.threads = threads;
        result
    }

    /// The loss of the batch. The layers keep the gradients of all parameters (the book's `gradient`). With
    /// an optimizer's step and [`settle`](Layer::settle) this makes a custom training loop, which can read
    /// and change the gradients before the update:
    ///
    /// ```
    /// use bn_layers::{Layer, LayerExt, Outcome};
    /// use bn_net::{IdentityWithLoss, Network, Optimizer, Sgd};
    /// use ndarray::array;
    /// let mut network = Network::builder(1).affine(4).batch_norm().relu().affine(1).build(1)?;
    /// let (mut loss, mut sgd) = (IdentityWithLoss::default(), Sgd::new(0.1)?);
    /// let (x, t) = (array![[0.0], [1.0], [2.0]], array![[1.0], [3.0], [5.0]]);
    /// for _ in 0..50 {
    ///     network.gradient(x.view(), t.view().into(), &mut loss)?;
    ///     network.visit_mut(&mut |p| p.grad.iter_mut().for_each(|g| *g = g.clamp(-1.0, 1.0)));
    ///     let stepped = sgd.step(&mut network);
    ///     network.settle(if stepped.is_ok() { Outcome::Stands } else { Outcome::TakenBack });
    ///     stepped?;
    /// }
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    ///
    /// The running statistics do not change until the step is settled. After an error, or if another step
    /// begins first, the step is undone.
    ///
    /// # Errors
    /// As [`train_step`](Self::train_step).
    pub fn gradient(
        &mut self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
    ) -> Result<f64, Error> {
        self.gradient_in(x, t, loss, &Pass::new(Mode::Train))
    }

    /// [`gradient`](Self::gradient) in another pass: in another mode, or over the
    /// [shards](bn_layers::ShardReduction) of a batch that this process has. In shards, the loss and the gradient
    /// are those of the whole batch: the gradients of all processes add up to it.
    ///
    /// # Errors
    /// As [`train_step`](Self::train_step).
    pub fn gradient_in(
        &mut self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
        pass: &Pass<'_>,
    ) -> Result<f64, Error> {
        let value = self.undone_on_error(|network| network.loss_and_gradient(x, t, loss, pass))?;
        Ok(value.loss)
    }

    /// [`gradient`](Self::gradient), with the weight of the loss.
    pub(crate) fn weighted_gradient(
        &mut self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
    ) -> Result<WeightedLoss, Error> {
        let pass = Pass::new(Mode::Train);
        self.undone_on_error(|network| network.loss_and_gradient(x, t, loss, &pass))
    }

    /// Begins a step, which is undone if `f` fails, and otherwise settled by the caller.
    pub(super) fn undone_on_error<R>(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.begin_step();
        let result = f(self);
        if result.is_err() {
            self.settle(Outcome::TakenBack);
        }
        result
    }

    fn loss_and_gradient(
        &mut self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
        pass: &Pass<'_>,
    ) -> Result<WeightedLoss, Error> {
        let value = self.weighted_loss(x, t, loss, pass)?;
        self.pass_back(x, Wanted::Params, pass)?;
        Ok(value)
    }

    /// The loss of the batch. Its gradient with respect to the output is in `dout`. The caller settles the
    /// step.
    pub(crate) fn loss(
        &mut self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
        pass: &Pass<'_>,
    ) -> Result<f64, Error> {
        Ok(self.weighted_loss(x, t, loss, pass)?.loss)
    }

    pub(super) fn weighted_loss(
        &mut self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
        pass: &Pass<'_>,
    ) -> Result<WeightedLoss, Error> {
        let width = self.output.size();
        loss.check(x.nrows(), width, t)?;
        self.pass(x, pass)?;
        let mut value = match pass.reduction() {
            Some(reduction) => self.loss_of_shards(t, loss, pass, reduction)?,
            None => WeightedLoss {
                loss: loss.forward(self.last_output()?, t)?,
                weight: loss.weight(x.nrows(), width, t),
            },
        };
        value.loss += self.penalty();
        if !value.loss.is_finite() {
            return Err(self.non_finite(x));
        }
        if pass.reduction().is_some() {
            return Ok(value); // its gradient is in `dout`
        }
        let mut dout = std::mem::take(&mut self.dout);
        let result = grow(&mut dout, self.rows, width)
            .and_then(|()| matrix_mut(&mut dout, self.rows, width))
            .and_then(|dout| loss.backward_into(self.last_output()?, t, dout));
        self.dout = dout;
        result?;
        Ok(value)
    }
}
