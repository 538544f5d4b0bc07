//! The output of every layer for one image.

use crate::{error::Error, histogram::Histogram};
use bn_layers::{LayerExt, Shape};
use bn_net::{NamedSpec, Network, NetworkSpec};
use ndarray::{Array2, ArrayView2};
use serde::Serialize;

/// The most feature maps of a layer, and values of a vector, in an answer.
const MAPS: usize = 8;
const VALUES: usize = 256;
/// The largest height and width of a map in an answer.
const SIDE: usize = 16;

/// Each layer of a network as a network of its own: within one network, a Batch Normalization and the rectifier after
/// it are computed in one pass, and the values between them are never stored.
#[derive(Debug, Clone)]
pub(crate) struct LayerByLayer {
    input: Shape,
    layers: Vec<Single>,
}

#[derive(Debug, Clone)]
struct Single {
    name: String, // in the builder
    kind: String,
    network: Network,
    branches: Vec<(String, LayerByLayer)>, // the networks inside, which get the same input
}

impl LayerByLayer {
    /// A copy of the network's layers.
    pub(crate) fn new(network: &Network) -> Result<Self, Error> {
        let mut arrays = Vec::new();
        network.visit(&mut |p| arrays.push(p.value.to_vec()));
        Self::of(network.spec()?, &mut arrays.into_iter())
    }

    /// The layers of a description, which take their arrays in order. (Evaluation needs no counters.)
    fn of(spec: NetworkSpec, arrays: &mut impl Iterator<Item = Vec<f32>>) -> Result<Self, Error> {
        let NetworkSpec { input, layers } = spec;
        let mut shape = input;
        let single = |named: NamedSpec| {
            let (name, kind) = (named.name.clone(), named.spec.layer.clone());
            let networks = named.networks()?;
            let alone = NetworkSpec {
                input: shape,
                layers: vec![named],
            };
            let mut network = alone.build::<f32>()?;
            let mut own = Vec::new();
            network.visit_mut(&mut |p| {
                let values = arrays.next().unwrap_or_default();
                p.value.iter_mut().zip(&values).for_each(|(to, &v)| *to = v);
                own.push(values);
            });
            let mut own = own.into_iter();
            let branch = |(name, spec)| Ok((name, Self::of(spec, &mut own)?));
            let branches = networks.into_iter().map(branch);
            let branches = branches.collect::<Result<_, Error>>()?;
            shape = network.output();
            Ok(Single {
                name,
                kind,
                network,
                branches,
            })
        };
        let layers = layers.into_iter().map(single);
        let layers = layers.collect::<Result<_, Error>>()?;
        Ok(Self { input, layers })
    }

    /// The output of every layer for `x: (1, D)`.
    pub(crate) fn activations(&self, x: Array2<f32>) -> Result<Activations, Error> {
        Ok(Activations {
            input: Values::of(x.view(), self.input),
            layers: self.outputs(x)?,
        })
    }

    fn outputs(&self, mut x: Array2<f32>) -> Result<Vec<LayerActivations>, Error> {
        let mut outputs = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let branch = |(name, branch): &(String, Self)| {
                let (name, layers) = (name.clone(), branch.outputs(x.clone())?);
                Ok(BranchActivations { name, layers })
            };
            let branches = layer.branches.iter().map(branch);
            let branches = branches.collect::<Result<_, Error>>()?;
            x = layer.network.predict(x.view())?;
            outputs.push(LayerActivations {
                index,
                name: layer.name.clone(),
                kind: layer.kind.clone(),
                branches,
                output: Values::of(x.view(), layer.network.output()),
            });
        }
        Ok(outputs)
    }
}

/// The answer of `POST /v1/activations`. What a layer gets is the output of the one before it.
#[derive(Debug, Serialize)]
pub(crate) struct Activations {
    input: Values,
    layers: Vec<LayerActivations>,
}

#[derive(Debug, Serialize)]
struct LayerActivations {
    index: usize,
    name: String,
    kind: String,
    /// The body and the shortcut of a residual block, or the branches of a concatenation. They get what the layer gets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    branches: Vec<BranchActivations>,
    output: Values,
}

#[derive(Debug, Serialize)]
struct BranchActivations {
    name: String,
    layers: Vec<LayerActivations>,
}

/// Some of the values of a row, and the distribution of all.
#[derive(Debug, Serialize)]
struct Values {
    shape: Vec<usize>,
    histogram: Histogram,
    /// The first feature maps of an image, `(height, width)` each; means of neighbours if it is large.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    maps: Vec<Map>,
    /// The first values of a vector.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<f32>,
}

#[derive(Debug, Serialize)]
struct Map {
    height: usize,
    width: usize,
    values: Vec<f32>,
}

impl Values {
    fn of(x: ArrayView2<'_, f32>, shape: Shape) -> Self {
        let row: Vec<f32> = x.iter().copied().collect();
        let (dims, maps, values) = match shape {
            Shape::Flat(size) => {
                let values = row.iter().take(VALUES).map(|&v| short(v));
                (vec![size], Vec::new(), values.collect())
            }
            Shape::Image {
                height,
                width,
                channels,
            } => {
                let maps = (0..channels.min(MAPS)).map(|c| map(&row, [height, width, channels], c));
                (vec![height, width, channels], maps.collect(), Vec::new())
            }
        };
        Self {
            shape: dims,
            histogram: Histogram::of(&row),
            maps,
            values,
        }
    }
}

/// Channel `c` of an image, each value the mean of `by·by` pixels, or of fewer at the edge.
fn map(image: &[f32], [height, width, channels]: [usize; 3], c: usize) -> Map {
    let by = height.max(width).div_ceil(SIDE);
    let (rows, columns) = (height.div_ceil(by), width.div_ceil(by));
    let mut values = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        for column in 0..columns {
            let (mut sum, mut count) = (0.0, 0);
            for h in row * by..((row + 1) * by).min(height) {
                for w in column * by..((column + 1) * by).min(width) {
                    sum += image[(h * width + w) * channels + c];
                    count += 1;
                }
            }
            values.push(short(sum / count as f32));
        }
    }
    Map {
        height: rows,
        width: columns,
        values,
    }
}

/// Three digits, as many as a colour shows; 0 for what is not finite, which JSON cannot hold.
fn short(value: f32) -> f32 {
    let short = format!("{value:.2e}").parse().unwrap_or(0.0);
    if f32::is_finite(short) { short } else { 0.0 }
}
