use crate::error::{Error, invalid};
use bn_layers::{LayerExt, LayerSpec, Shape};
use bn_net::{NamedSpec, Network, NetworkSpec};
use serde::Serialize;
use std::collections::HashMap;

/// A layer of the network, with its arrays by their names in it, such as `weight`.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) spec: LayerSpec,
    pub(super) arrays: Vec<(String, Vec<f32>)>,
}

impl Part {
    pub(super) fn new(layer: &str, settings: impl Serialize) -> Self {
        let spec = LayerSpec::new(layer, settings);
        let arrays = Vec::new();
        Self { spec, arrays }
    }

    #[must_use]
    pub(super) fn with(mut self, name: &str, values: Vec<f32>) -> Self {
        self.arrays.push((name.to_owned(), values));
        self
    }
}

/// The layers of a network, and its arrays by name.
pub(super) struct Assembled {
    pub(super) spec: NetworkSpec,
    pub(super) arrays: Vec<(String, Vec<f32>)>,
}

impl Assembled {
    pub(super) fn new(input: Shape, parts: Vec<Part>) -> Self {
        let (mut layers, mut arrays) = (Vec::new(), Vec::new());
        for (i, part) in parts.into_iter().enumerate() {
            let of_layer = part.arrays.into_iter();
            arrays.extend(of_layer.map(|(name, values)| (format!("layers.{i}.{name}"), values)));
            layers.push(NamedSpec {
                name: snake_case(&part.spec.layer),
                weight_decay: 0.0,
                spec: part.spec,
            });
        }
        let spec = NetworkSpec { input, layers };
        Self { spec, arrays }
    }

    /// The arrays as those of a branch of a layer, such as `body`.
    pub(super) fn branch_arrays(self, branch: &str) -> impl Iterator<Item = (String, Vec<f32>)> {
        let arrays = self.arrays.into_iter();
        arrays.map(move |(name, values)| (format!("{branch}.{name}"), values))
    }

    pub(super) fn network(self) -> Result<Network<f32>, Error> {
        let mut network = self.spec.build::<f32>()?;
        let mut arrays: HashMap<String, Vec<f32>> = self.arrays.into_iter().collect();
        let mut missing = None;
        network.visit_mut(&mut |p| match arrays.remove(p.name) {
            Some(values) if values.len() == p.value.len() => p.value.copy_from_slice(&values),
            _ => missing = Some(p.name.to_owned()),
        });
        match missing {
            Some(name) => invalid(format!("{name} does not fit its layer")),
            None => Ok(network),
        }
    }
}

/// `max_pool2d` for `MaxPool2d`, as the builder calls it.
fn snake_case(layer: &str) -> String {
    if layer == "BatchNormalization" {
        return "batch_norm".to_owned();
    }
    let (mut name, mut after_small) = (String::new(), false);
    for letter in layer.chars() {
        if letter.is_uppercase() && after_small {
            name.push('_');
        }
        after_small = letter.is_lowercase();
        name.extend(letter.to_lowercase());
    }
    name
}
