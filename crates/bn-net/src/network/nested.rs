//! The networks that a layer holds.

use super::{chain::Network, concat::Concat, residual::Residual};
use bn_layers::Layer;
use bn_tensor::Scalar;
use std::any::Any;

/// The networks directly inside a layer of this crate, in order.
pub(super) fn networks_mut<T: Scalar>(layer: &mut dyn Layer<T>) -> Vec<&mut Network<T>> {
    let layer = layer as &mut dyn Any;
    if layer.is::<Residual<T>>() {
        let residual = layer.downcast_mut::<Residual<T>>();
        residual
            .into_iter()
            .flat_map(Residual::networks_mut)
            .collect()
    } else if layer.is::<Concat<T>>() {
        let concat = layer.downcast_mut::<Concat<T>>();
        concat.into_iter().flat_map(Concat::networks_mut).collect()
    } else {
        layer.downcast_mut::<Network<T>>().into_iter().collect()
    }
}
