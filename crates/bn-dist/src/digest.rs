//! Numbers that are equal on two ranks if what they are made of is.

use bn_layers::{Layer, State};
use bn_net::{Network, Optimizer};
use bn_tensor::Scalar;
use bytemuck::Pod;
use std::{
    any::type_name,
    hash::{DefaultHasher, Hash, Hasher},
};

/// Of the layers and their settings, and of the names and shapes of parameters.
pub(crate) fn of_network<T: Scalar>(network: &Network<T>) -> u64 {
    let mut hasher = DefaultHasher::new();
    let spec = network.spec().ok();
    (type_name::<T>(), format!("{spec:?}")).hash(&mut hasher);
    network.state(&mut |part| match part {
        State::Array(p) => (p.name, p.shape, p.is_trained).hash(&mut hasher),
        State::Counter(name, _) => name.hash(&mut hasher),
    });
    hasher.finish()
}

/// Of parameters, running statistics and counters. Without the running statistics if each rank has its own.
pub(crate) fn of_values<T: Scalar + Pod>(network: &Network<T>, are_local: bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    network.state(&mut |part| match part {
        State::Array(p) if are_local && p.grad.is_empty() => {}
        State::Array(p) => hasher.write(bytemuck::cast_slice(p.value)),
        State::Counter(_, value) => value.hash(&mut hasher),
    });
    hasher.finish()
}

/// Of the kind of an optimizer and its settings.
pub(crate) fn of_optimizer<T: Scalar>(optimizer: &dyn Optimizer<T>) -> u64 {
    let spec = optimizer.describe().map(|spec| spec.to_string());
    of((spec, optimizer.learning_rate().to_bits()))
}

pub(crate) fn of(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
