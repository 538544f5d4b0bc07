//! The answer of `GET /v1/model`.

use bn_data::Preprocessing;
use bn_layers::Shape;
use bn_net::Model;
use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct ModelInfo<'a> {
    task: &'static str,
    input: Vec<usize>,
    output: Vec<usize>,
    classes: &'a [String],
    preprocessing: &'a Preprocessing,
    parameters: usize,
    layers: Vec<LayerInfo>,
}

#[derive(Serialize)]
struct LayerInfo {
    place: String,
    name: String,
    output: Vec<usize>,
    parameters: usize,
}

impl<'a> ModelInfo<'a> {
    pub(crate) fn new(model: &'a Model, is_generator: bool) -> Self {
        let Model {
            network,
            preprocessing,
            classes,
        } = model;
        let layers = network.summary().layers.into_iter();
        Self {
            task: if is_generator {
                "generator"
            } else {
                "classifier"
            },
            input: dims(network.input()),
            output: dims(network.output()),
            classes,
            preprocessing,
            parameters: network.param_count(),
            layers: layers
                .map(|layer| LayerInfo {
                    place: layer.place,
                    name: layer.name,
                    output: dims(layer.output),
                    parameters: layer.params,
                })
                .collect(),
        }
    }
}

fn dims(shape: Shape) -> Vec<usize> {
    match shape {
        Shape::Flat(size) => vec![size],
        Shape::Image {
            height,
            width,
            channels,
        } => vec![height, width, channels],
    }
}
