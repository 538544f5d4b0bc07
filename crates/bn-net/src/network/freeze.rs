use super::chain::{NamedLayer, Network};
use crate::error::Error;
use bn_layers::{Layer, Pass, State};
use bn_tensor::Scalar;
use std::ops::{Bound, RangeBounds};
use wildmatch::WildMatch;

/// What of a layer takes part in training.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Freeze {
    pub(super) statistics: bool, // normalises by its running statistics, which stay
    pub(super) params: bool,     // all its parameters are frozen
}

impl Freeze {
    /// `pass`, as it reaches the layer.
    pub(super) fn pass<'a>(self, pass: &Pass<'a>) -> Pass<'a> {
        match self.statistics {
            true => pass.with_frozen_statistics(),
            false => *pass,
        }
    }
}

/// Frozen parameters. An optimizer leaves them as they are, whatever its weight decay, and their penalty is
/// no part of the loss. What is frozen is not stored in a [`NetworkSpec`](crate::NetworkSpec) or a
/// [`Checkpoint`](crate::Checkpoint), and a [folded](Network::fold) network has nothing frozen.
impl<T: Scalar> Network<T> {
    /// Freezes the parameters whose names match `pattern`, as PyTorch's `requires_grad = False` does. A
    /// BatchNormalization still normalises by the batch and updates its running statistics; to keep these
    /// too, use [`freeze_layers`](Self::freeze_layers). In the pattern, `*` stands for any characters and
    /// `?` for one. Returns the number of parameters whose names match.
    ///
    /// ```
    /// use bn_net::Network;
    /// let mut network = Network::builder(4).affine(8).batch_norm().relu().affine(3).build(1)?;
    /// assert_eq!(network.freeze("layers.0.*")?, 2); // weight and bias
    /// assert_eq!(network.freeze("*.gamma")?, 1);
    /// assert_eq!(network.param_count(), 8 + 8 * 3 + 3); // those that are trained
    /// assert!(network.freeze("dense.*").is_err());
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoParameter`] if no name matches.
    pub fn freeze(&mut self, pattern: &str) -> Result<usize, Error> {
        self.set_frozen(pattern, true)
    }

    /// Trains the parameters whose names match `pattern` again; see [`freeze`](Self::freeze).
    ///
    /// # Errors
    /// As [`freeze`](Self::freeze).
    pub fn unfreeze(&mut self, pattern: &str) -> Result<usize, Error> {
        self.set_frozen(pattern, false)
    }

    /// Freezes whole layers, as Keras' `trainable = False` does: all their parameters, and each
    /// BatchNormalization in them normalises by its running statistics and leaves them as they are. (A
    /// Dropout still drops.) If the first layers are frozen, a step does not compute their gradients.
    ///
    /// ```
    /// use bn_net::Network;
    /// let mut network = Network::builder(4).affine(8).batch_norm().relu().affine(3).build(1)?;
    /// network.freeze_layers(..3)?;
    /// assert_eq!(network.param_count(), 8 * 3 + 3);
    /// network.unfreeze_layers(..)?;
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoLayer`] if the range reaches beyond the last layer.
    pub fn freeze_layers(&mut self, layers: impl RangeBounds<usize>) -> Result<(), Error> {
        self.set_layers_frozen(layers, true)
    }

    /// Trains whole layers again; see [`freeze_layers`](Self::freeze_layers).
    ///
    /// # Errors
    /// As [`freeze_layers`](Self::freeze_layers).
    pub fn unfreeze_layers(&mut self, layers: impl RangeBounds<usize>) -> Result<(), Error> {
        self.set_layers_frozen(layers, false)
    }

    fn set_frozen(&mut self, pattern: &str, is_frozen: bool) -> Result<usize, Error> {
        let glob = WildMatch::new(pattern);
        let selects = |name: &str| glob.matches(name);
        let mut count = 0;
        self.state(&mut |part| {
            if let State::Array(p) = part {
                count += usize::from(!p.grad.is_empty() && selects(p.name));
            }
        });
        if count == 0 {
            let pattern = pattern.to_owned();
            return Err(Error::NoParameter { pattern });
        }
        for l in &mut self.layers {
            l.state_names.freeze(is_frozen, &selects);
            l.note_frozen();
        }
        Ok(count)
    }

    fn set_layers_frozen(
        &mut self,
        layers: impl RangeBounds<usize>,
        is_frozen: bool,
    ) -> Result<(), Error> {
        let count = self.names.len();
        let end = match layers.end_bound() {
            Bound::Included(&last) => last.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => count,
        };
        if end > count {
            return Err(Error::NoLayer {
                index: end - 1,
                count,
            });
        }
        for l in &mut self.layers {
            if layers.contains(&l.index) {
                l.freeze.statistics = is_frozen;
                l.state_names.freeze(is_frozen, &|_| true);
                l.note_frozen();
            }
        }
        Ok(())
    }

    /// The position in [`layers`](Self::layers) of the first layer that a backward pass for the parameters
    /// has to reach.
    pub(super) fn first_trained(&self) -> usize {
        match self.layers.iter().any(|l| l.freeze.params) {
            true => {
                let trained = |l: &NamedLayer<T>| l.has_params() && !l.freeze.params;
                let first = self.layers.iter().position(trained);
                first.unwrap_or(self.layers.len())
            }
            false => 0,
        }
    }
}

impl<T: Scalar> NamedLayer<T> {
    /// Trains everything again.
    pub(super) fn unfreeze(&mut self) {
        self.freeze = Freeze::default();
        self.state_names.freeze(false, &|_| true);
    }

    fn note_frozen(&mut self) {
        self.freeze.params = self.has_params() && !self.any_param(&|is_trained| is_trained);
    }

    fn has_params(&self) -> bool {
        self.any_param(&|_| true)
    }

    fn any_param(&self, is_wanted: &dyn Fn(bool) -> bool) -> bool {
        let mut any = false;
        self.state_names.visit(&*self.layer, &mut |part| {
            if let State::Array(p) = part {
                any |= !p.grad.is_empty() && is_wanted(p.is_trained);
            }
        });
        any
    }
}
