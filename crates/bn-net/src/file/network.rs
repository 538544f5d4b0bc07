//! Networks in a checkpoint.

use super::{
    checkpoint::{Checkpoint, refuse},
    part::{NetworkRecord, Part, under},
};
use crate::{error::Error, network::Network};
use bn_layers::{Layer, LayerExt};
use bn_tensor::Scalar;
use ndarray::ArrayD;
use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
};

impl Checkpoint {
    /// Adds a network, or any layer: its arrays as `prefix.name`, and its counters.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if a name is taken; the checkpoint is then unchanged.
    pub fn add_network<T: Scalar>(
        &mut self,
        prefix: &str,
        network: &dyn Layer<T>,
    ) -> Result<(), Error> {
        let mut added = Self::new();
        let (mut arrays, mut counters) = (BTreeSet::new(), BTreeMap::new());
        let mut result = Ok(());
        network.visit(&mut |p| {
            if result.is_ok() {
                result = added.add_array(&under(prefix, p.name), p.shape, p.value);
            }
            arrays.insert(p.name.to_owned());
        });
        network.visit_counters(&mut |name, value| {
            if counters.insert(name.to_owned(), value).is_some() && result.is_ok() {
                result = refuse(format!("{prefix} has two counters {name}"));
            }
        });
        result?;
        let record = NetworkRecord { arrays, counters };
        added.add_value(prefix, &Part::Network(record))?;
        self.append(added)
    }

    /// Gives a network the arrays and counters that were [added](Self::add_network) under `prefix`. A
    /// step of the network that has begun and has not ended is undone first.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if an array or a counter is missing, superfluous, or of another type or
    /// shape; the network is then unchanged.
    pub fn restore_network<T: Scalar>(
        &self,
        prefix: &str,
        network: &mut dyn Layer<T>,
    ) -> Result<(), Error> {
        self.network_state(prefix, network)?.give_to(network);
        Ok(())
    }

    /// The stored state, which fits the network.
    pub(crate) fn network_state<T: Scalar>(
        &self,
        prefix: &str,
        network: &dyn Layer<T>,
    ) -> Result<NetworkState<T>, Error> {
        let Part::Network(record) = self.part(prefix)? else {
            return refuse(format!("{prefix} is an optimizer, not a network"));
        };
        let NetworkRecord {
            arrays: mut left_arrays,
            counters: mut left_counters,
        } = record;
        let (mut arrays, mut counters) = (BTreeMap::new(), BTreeMap::new());
        let mut result = Ok(());
        let lacks = |name: &str| refuse(format!("{prefix} was stored without {name}"));
        network.visit(&mut |p| {
            if result.is_ok() {
                result = match left_arrays.remove(p.name) {
                    true => self.part_array(prefix, p.name, p.shape).map(|array| {
                        arrays.insert(p.name.to_owned(), array);
                    }),
                    false => lacks(p.name),
                };
            }
        });
        network.visit_counters(&mut |name, _| {
            if result.is_ok() {
                result = match left_counters.remove(name) {
                    Some(value) => {
                        counters.insert(name.to_owned(), value);
                        Ok(())
                    }
                    None => lacks(name),
                };
            }
        });
        result?;
        if let Some(name) = left_arrays.iter().chain(left_counters.keys()).next() {
            return refuse(format!(
                "{prefix} was stored with {name}, which this network lacks"
            ));
        }
        Ok(NetworkState { arrays, counters })
    }
}

/// The state of a network, read from a checkpoint.
pub(crate) struct NetworkState<T> {
    arrays: BTreeMap<String, ArrayD<T>>,
    counters: BTreeMap<String, u64>,
}

impl<T: Scalar> NetworkState<T> {
    /// `network` is the one that the state was checked with.
    pub(crate) fn give_to(self, network: &mut dyn Layer<T>) {
        // Otherwise the next step would undo the open one, and with it the counters.
        let any: &mut dyn Any = network;
        if let Some(network) = any.downcast_mut::<Network<T>>() {
            network.begin_step();
        }
        network.visit_mut(&mut |p| {
            if let Some(array) = self.arrays.get(p.name) {
                p.value.iter_mut().zip(array).for_each(|(v, &new)| *v = new);
            }
        });
        network.visit_counters_mut(&mut |name, value| {
            *value = self.counters.get(name).copied().unwrap_or(*value);
        });
    }
}
