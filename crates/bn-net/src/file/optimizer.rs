//! Optimizers in a checkpoint.

use super::{
    checkpoint::{Checkpoint, refuse},
    part::{OptimizerRecord, Part, under},
};
use crate::{
    error::Error,
    optimizer::{Optimizer, OptimizerSpec},
};
use bn_layers::{Layer, LayerExt};
use bn_tensor::Scalar;
use std::collections::{BTreeMap, BTreeSet};

impl Checkpoint {
    /// Adds an optimizer: its kind and settings, its learning rate, and its state, the arrays as
    /// `prefix.name`.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if a name is taken; the checkpoint is then unchanged.
    pub fn add_optimizer<T: Scalar>(
        &mut self,
        prefix: &str,
        optimizer: &dyn Optimizer<T>,
    ) -> Result<(), Error> {
        let mut added = Self::new();
        let mut record = OptimizerRecord {
            kind: optimizer.describe(),
            learning_rate: optimizer.learning_rate(),
            steps: 0,
            arrays: BTreeSet::new(),
        };
        if let Some(state) = optimizer.state() {
            record.steps = state.steps();
            for (name, values) in state.iter() {
                let shape = [state.arrays(), values.len() / state.arrays().max(1)];
                added.add_array(&under(prefix, name), &shape, values)?;
                record.arrays.insert(name.to_owned());
            }
        }
        added.add_value(prefix, &Part::Optimizer(record))?;
        self.append(added)
    }

    /// Gives an optimizer the state and the learning rate that were [added](Self::add_optimizer) under
    /// `prefix`. The state then belongs to `network`, the network that the optimizer updates.
    ///
    /// The optimizer must be of the stored kind and have the stored settings
    /// ([`Optimizer::describe`]). Only its learning rate may differ, because a schedule sets it; it is
    /// replaced.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the optimizer is of another kind or has other settings, or if the state
    /// does not fit the network; [`bn_tensor::Error::InvalidSetting`] for a learning rate that the
    /// optimizer refuses. The optimizer is then unchanged.
    pub fn restore_optimizer<T: Scalar>(
        &self,
        prefix: &str,
        optimizer: &mut dyn Optimizer<T>,
        network: &dyn Layer<T>,
    ) -> Result<(), Error> {
        let state = self.optimizer_values(prefix, optimizer, network)?;
        optimizer.set_learning_rate(state.learning_rate)?;
        state.give_to(optimizer);
        Ok(())
    }

    /// The stored state, which fits the optimizer and the network.
    pub(crate) fn optimizer_values<T: Scalar>(
        &self,
        prefix: &str,
        optimizer: &dyn Optimizer<T>,
        network: &dyn Layer<T>,
    ) -> Result<OptimizerValues<T>, Error> {
        let Part::Optimizer(record) = self.part(prefix)? else {
            return refuse(format!("{prefix} is a network, not an optimizer"));
        };
        let described = optimizer.describe();
        if record.kind != described {
            let [stored, given] = [&record.kind, &described].map(name_of);
            return refuse(format!(
                "{prefix} is the state of {stored}, but the optimizer is {given}; \
                 only the learning rate may differ"
            ));
        }
        let mut left = record.arrays;
        let (mut values, mut of_network, mut result) = (BTreeMap::new(), None, Ok(()));
        network.visit(&mut |p| {
            of_network = p.network;
            // A parameter that was never updated has no state; one that was frozen later has.
            if result.is_ok() && !p.grad.is_empty() && left.remove(p.name) {
                result = self
                    .values_for(prefix, p.name, p.value.len(), optimizer)
                    .map(|of_param| {
                        values.insert(p.name.to_owned(), of_param);
                    });
            }
        });
        result?;
        if let Some(name) = left.first() {
            return refuse(format!(
                "{prefix} has state for {name}, which is no parameter of this network"
            ));
        }
        Ok(OptimizerValues {
            learning_rate: record.learning_rate,
            steps: record.steps,
            values,
            network: of_network,
        })
    }

    /// The arrays of one parameter of `len` values.
    fn values_for<T: Scalar>(
        &self,
        prefix: &str,
        name: &str,
        len: usize,
        optimizer: &dyn Optimizer<T>,
    ) -> Result<Vec<T>, Error> {
        let Some(state) = optimizer.state() else {
            return refuse(format!(
                "{prefix} has state for {name}, but this optimizer keeps no state"
            ));
        };
        let array = self.part_array(prefix, name, &[state.arrays(), len])?;
        let values: Vec<T> = array.into_iter().collect();
        match state.check_values(&values) {
            Ok(()) => Ok(values),
            Err(reason) => refuse(format!("{}: {reason}", under(prefix, name))),
        }
    }
}

fn name_of(kind: &Option<OptimizerSpec>) -> String {
    match kind {
        Some(kind) => kind.to_string(),
        None => "one that does not describe itself".to_owned(),
    }
}

/// The state of an optimizer, read from a checkpoint.
pub(crate) struct OptimizerValues<T> {
    pub(crate) learning_rate: f64,
    steps: u64,
    values: BTreeMap<String, Vec<T>>,
    network: Option<u64>,
}

impl<T: Scalar> OptimizerValues<T> {
    /// All but the learning rate, which an optimizer may refuse.
    pub(crate) fn give_to(self, optimizer: &mut dyn Optimizer<T>) {
        if let Some(state) = optimizer.state_mut() {
            state.restore(self.steps, self.values);
            state.set_network(self.network);
        }
    }
}
