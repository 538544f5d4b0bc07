//! Networks in a checkpoint.

use super::{
    checkpoint::{Checkpoint, refuse},
    json,
    part::{NetworkRecord, Part, under},
};
use crate::{
    error::Error,
    network::{Network, NetworkSpec},
};
use bn_layers::{Layer, LayerExt};
use bn_tensor::Scalar;
use ndarray::ArrayD;
use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
};

/// Values that layers may compute with which are in no file: those of normalisations without parameters and statistics.
const WITHOUT_ARRAYS: usize = 1 << 20;

impl Checkpoint {
    /// Adds a network, or any layer: its arrays as `prefix.name`, its counters, and the description of a network.
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
        let record = NetworkRecord {
            arrays,
            counters,
            spec: spec_of(network),
        };
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

    /// The network that was [added](Self::add_network) under `prefix`, built from its description. Nothing in it is
    /// frozen.
    ///
    /// ```
    /// use bn_net::{Checkpoint, Network};
    /// let network = Network::builder(4).affine(8).batch_norm().relu().affine(3).build(1)?;
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.add_network("network", &network)?;
    /// let again: Network = checkpoint.network("network")?;
    /// let x = ndarray::array![[1.0f32, 2.0, 3.0, 4.0]];
    /// assert_eq!(again.predict(x.view())?, network.predict(x.view())?);
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if there is none, if it has no description (one of its layers is from outside, or the file
    /// is of version 0), or if the description does not fit the arrays.
    pub fn network<T: Scalar>(&self, prefix: &str) -> Result<Network<T>, Error> {
        let Part::Network(record) = self.part(prefix)? else {
            return refuse(format!("{prefix} is an optimizer, not a network"));
        };
        let Some(spec) = record.spec else {
            return refuse(format!(
                "{prefix} was stored without a description; build the network, and use restore_network"
            ));
        };
        let mut network = self.built(&spec).or_else(|error| {
            refuse(format!(
                "{prefix} cannot be built from its description: {error}"
            ))
        })?;
        self.restore_network(prefix, &mut network)?;
        Ok(network)
    }

    /// The names of the networks that were added.
    pub fn network_names(&self) -> Vec<String> {
        let is_network = |name: &&str| matches!(self.part(name), Ok(Part::Network(_)));
        self.value_names()
            .filter(is_network)
            .map(str::to_owned)
            .collect()
    }

    /// With weights of zero. What the description promises must be in the file, so that it cannot take more memory.
    fn built<T: Scalar>(&self, spec: &NetworkSpec) -> Result<Network<T>, Error> {
        let (promised, there) = (spec.largest_arrays()?, self.array_values());
        if promised > there.saturating_add(WITHOUT_ARRAYS) {
            return refuse(format!(
                "it needs {promised} values, and the file has {there}"
            ));
        }
        spec.build()
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
            ..
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

/// The description of a network whose layers all have one, unless it is nested too deep for JSON.
fn spec_of<T: Scalar>(network: &dyn Layer<T>) -> Option<NetworkSpec> {
    let network: &dyn Any = network;
    let spec = network.downcast_ref::<Network<T>>()?.spec().ok()?;
    json::check(&spec).is_ok().then_some(spec)
}

/// The state of a network, read from a checkpoint.
pub(crate) struct NetworkState<T> {
    arrays: BTreeMap<String, ArrayD<T>>,
    counters: BTreeMap<String, u64>,
}

impl<T: Scalar> NetworkState<T> {
    /// Arrays by their names in the network, which they fit. Counters stay as they are.
    #[cfg(feature = "npz")]
    pub(super) fn of_arrays(arrays: BTreeMap<String, ArrayD<T>>) -> Self {
        let counters = BTreeMap::new();
        Self { arrays, counters }
    }

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
