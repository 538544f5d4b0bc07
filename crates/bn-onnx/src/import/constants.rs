//! Constants for each channel that are added, subtracted or multiplied: the bias of the layer before them, or a Batch
//! Normalization in evaluation as Keras writes it, `(x − mean)·(gamma/√(var + eps)) + beta`.

use super::{
    chain::{Chain, Form},
    graph::Graph,
    node::Node,
    part::Part,
};
use crate::{
    error::Error,
    permute::{last_from_first, rows},
    settings,
};
use bn_layers::{BatchNormConfig, LayerSpec, Layout};

impl Graph {
    /// The values of input `i`, one for each channel of the chain's value, or one for all.
    pub(super) fn of_channels(
        &mut self,
        node: &Node,
        i: usize,
        chain: &Chain,
    ) -> Result<Vec<f32>, Error> {
        let (dims, values) = self.weights(node, i)?;
        let channels = values.len();
        let of_channels: &[usize] = match chain.form {
            Form::Image(_) => &[channels, 1, 1],
            _ => &[channels],
        };
        let leading = dims
            .iter()
            .take(dims.len().saturating_sub(of_channels.len()));
        if channels != 1
            && !(dims.ends_with(of_channels) && leading.into_iter().all(|&dim| dim == 1))
        {
            return node.refused(format!(
                "its constant has the dimensions {dims:?}, but must be one value for each channel"
            ));
        }
        Ok(match chain.form {
            Form::Flattened(image) if channels == chain.shape.size() => {
                rows(&values, 1, &last_from_first(image))
            }
            _ => values,
        })
    }

    /// Which input of a node of two is the constant.
    fn constant(&self, node: &Node) -> usize {
        match node.input(0) {
            Some(name) if self.values(node) == [name] => 1,
            _ => 0,
        }
    }

    /// The bias of the layer before it, or a part of its beta.
    pub(super) fn plus(&mut self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        const REASON: &str = "a constant can be added after a MatMul, a Conv or a BatchNormalization only, one value for each channel";
        let b = self.of_channels(node, self.constant(node), chain)?;
        let Some(last) = chain.parts.last_mut() else {
            return node.refused(REASON);
        };
        if let Some([_, beta]) = scale(last).filter(|[gamma, _]| gamma.len() == b.len()) {
            beta.iter_mut().zip(b).for_each(|(beta, b)| *beta += b);
            return Ok(());
        }
        match with_bias(&last.spec) {
            Some((channels, spec)) if channels == b.len() => {
                last.spec = spec;
                last.arrays.push(("bias".to_owned(), b));
                Ok(())
            }
            _ => node.refused(REASON),
        }
    }

    /// The mean of a Batch Normalization, whose variance is 1.
    pub(super) fn minus(&mut self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        if self.constant(node) != 1 {
            return node.refused("the constant must be subtracted from the value");
        }
        let mean = self.of_channels(node, 1, chain)?;
        let config = BatchNormConfig::keras();
        let (channels, gamma) = (mean.len(), (1.0 + config.eps).sqrt() as f32);
        let settings = settings::BatchNormalization {
            channels,
            layout: Layout::ChannelsLast,
            config,
        };
        let part = Part::new("BatchNormalization", settings)
            .with("gamma", vec![gamma; channels])
            .with("beta", vec![0.0; channels])
            .with("running_mean", mean)
            .with("running_var", vec![1.0; channels]);
        chain.push(node, part)
    }

    /// A factor of gamma and beta.
    pub(super) fn times(&mut self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        let factors = self.of_channels(node, self.constant(node), chain)?;
        let last = chain.parts.last_mut().and_then(scale);
        let Some(scale) = last.filter(|[gamma, _]| gamma.len() == factors.len()) else {
            return node.refused(
                "a value can be multiplied by a constant after a BatchNormalization only, one factor for each channel",
            );
        };
        for values in scale {
            let pairs = values.iter_mut().zip(&factors);
            pairs.for_each(|(value, factor)| *value *= factor);
        }
        Ok(())
    }
}

/// Gamma and beta of a Batch Normalization.
fn scale(part: &mut Part) -> Option<[&mut Vec<f32>; 2]> {
    match (&*part.spec.layer, &mut *part.arrays) {
        ("BatchNormalization", [(_, gamma), (_, beta), ..]) => Some([gamma, beta]),
        _ => None,
    }
}

/// The number of outputs or channels of a layer without a bias, and the layer with one.
fn with_bias(spec: &LayerSpec) -> Option<(usize, LayerSpec)> {
    let layer = &*spec.layer;
    match layer {
        "Affine" => {
            let mut affine: settings::Affine = spec.settings().ok()?;
            let without = !std::mem::replace(&mut affine.bias, true);
            without.then(|| (affine.outputs, LayerSpec::new(layer, affine)))
        }
        "Conv2d" => {
            let mut conv: settings::Conv2d = spec.settings().ok()?;
            let without = !std::mem::replace(&mut conv.bias, true);
            without.then(|| (conv.kernel.3, LayerSpec::new(layer, conv)))
        }
        "ConvTranspose2d" => {
            let mut conv: settings::ConvTranspose2d = spec.settings().ok()?;
            let without = !std::mem::replace(&mut conv.bias, true);
            let channels = conv.kernel.2.saturating_mul(conv.groups);
            without.then(|| (channels, LayerSpec::new(layer, conv)))
        }
        _ => None,
    }
}
