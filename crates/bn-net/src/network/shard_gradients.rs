//! The gradients of a batch in shards, for a caller who adds up those of all processes.

use super::{
    chain::{NamedLayer, Network},
    nested::networks_mut,
    passes::{Wanted, add_weight_decay},
    shards::WeightedLoss,
};
use crate::{
    error::Error,
    loss::{Loss, Targets},
};
use bn_layers::{Error as LayerError, Layer, LayerExt, Mode, Pass, ShardReduction, State};
use bn_tensor::Scalar;
use ndarray::ArrayView2;
use std::ops::Range;

/// The gradients of one layer's parameters, one parameter after another, summed over ranges of shards
/// ([`ShardTree::nodes`](bn_layers::ShardTree::nodes)).
pub type ShardGradients<T> = [(Range<usize>, Vec<T>)];

impl<T: Scalar> Network<T> {
    /// The loss of a batch of which this process has some shards, and the gradients of these shards, for a
    /// `reduction` that [adds up the gradients](ShardReduction::adds_gradients) of all processes. As soon as
    /// the gradients of a layer are known, from the last layer to the first, `on_layer` gets them, so that
    /// they can travel while the layers before it compute theirs; it may take their memory and leave other. Gradients that every process knows from
    /// sums over the whole batch, such as those of gamma and beta, are not among them.
    ///
    /// The caller then gives the network the sums over all shards
    /// ([`set_gradients_of_shards`](Self::set_gradients_of_shards)), makes an optimizer's step, and settles.
    ///
    /// # Errors
    /// As [`train_step`](Self::train_step), and those of `on_layer`; the step is undone.
    /// [`bn_layers::Error::Shards`] for a layer from outside that holds a network.
    pub fn gradient_of_shards(
        &mut self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
        reduction: &dyn ShardReduction,
        on_layer: &mut dyn FnMut(&mut ShardGradients<T>) -> Result<(), Error>,
    ) -> Result<WeightedLoss, Error> {
        let pass = Pass::sharded(Mode::Train, reduction);
        let mut on_each = |l: &mut NamedLayer<T>| {
            each_layer(l, &mut |l| match l.of_shards.nodes_mut() {
                [] => Ok(()),
                gradients => on_layer(gradients),
            })
        };
        self.undone_on_error(|network| {
            let value = network.weighted_loss(x, t, loss, &pass)?;
            network.pass_back_with(x, Wanted::Params, &pass, &mut on_each)?;
            Ok(value)
        })
    }

    /// Sets the gradients that [`gradient_of_shards`](Self::gradient_of_shards) has passed to `on_layer`, in
    /// the same order: `read` writes the next values. Then the gradient of weight decay is added.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn set_gradients_of_shards(
        &mut self,
        read: &mut dyn FnMut(&mut [T]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let first = self.first_trained();
        for l in self.layers[first..].iter_mut().rev() {
            each_layer(l, &mut |l| {
                let mut result = Ok(());
                if !l.of_shards.nodes().is_empty() {
                    l.layer.visit_mut(&mut |p| {
                        if result.is_ok() {
                            result = read(p.grad);
                        }
                    });
                }
                result?;
                match l.freeze.params || l.weight_decay == 0.0 {
                    true => Ok(()),
                    false => add_weight_decay(l),
                }
            })?;
        }
        Ok(())
    }
}

/// Calls `f` with the layer, or with those of the networks that it holds.
fn each_layer<T: Scalar>(
    l: &mut NamedLayer<T>,
    f: &mut dyn FnMut(&mut NamedLayer<T>) -> Result<(), Error>,
) -> Result<(), Error> {
    let networks = networks_mut(&mut *l.layer);
    if networks.is_empty() {
        check_no_network(&*l.layer)?;
        return f(l);
    }
    for network in networks {
        for inner in network.layers.iter_mut().rev() {
            each_layer(inner, f)?;
        }
    }
    Ok(())
}

/// The gradients inside a layer from outside would be lost.
fn check_no_network<T: Scalar>(layer: &dyn Layer<T>) -> Result<(), Error> {
    let mut holds_network = false;
    layer.state(&mut |part| {
        holds_network |= matches!(part, State::Array(p) if p.network.is_some());
    });
    match holds_network {
        true => Err(LayerError::Shards {
            reason:
                "a layer that holds a network must be one of this library's: a residual block, a \
                     concatenation, or the network itself"
                    .to_owned(),
        }
        .into()),
        false => Ok(()),
    }
}
