//! From a model to a network: `array` reads arrays, `graph` finds the constants and who uses a value, `node` reads
//! settings, `walk` follows the values from the input to the output, `chain` keeps the layers found so far,
//! `operators`, `constants`, `shapes`, `normalizations`, `images` and `resampling` read each operator, `patterns` those activations
//! that are several nodes, and `part` puts the network together.

mod array;
mod chain;
mod constants;
mod graph;
mod images;
mod node;
mod normalizations;
mod operators;
mod part;
mod patterns;
mod resampling;
mod shapes;
mod walk;

use crate::{
    error::{Error, invalid},
    proto::ModelProto,
};
use bn_net::Network;
use graph::Graph;
use prost::Message;
use std::path::Path;
use walk::Walk;

/// Reads a network from an ONNX model. It is an ordinary network: it can be trained, saved and folded.
///
/// The model has one input `(N, D)`, `(N, C, H, W)` or `(N, H, W, C)` with known sizes, and one output. Its values must form a chain
/// from the input to the output; at branches that an `Add` of two or a `Concat` joins, the network has a residual block
/// or a concatenation. Arrays may have 16, 32 or 64 bits.
///
/// In the network, images have their channels last. So the rows of a batch of images for a model with `(N, C, H, W)`
/// must be [converted](bn_layers::images_to_channels_last), and the weights after a flattened image, or before a row becomes an
/// image, are reordered. A `BatchNormalization` gets the settings of PyTorch's, with the model's `epsilon` and
/// `momentum`; the seed of a Dropout is 0. Keras writes `(x − mean)·factor + beta` instead: the running variance is then
/// 1, and the factor is gamma.
///
/// Sizes that a model computes when it runs are not read. So a Keras model must be exported with the size of the batch:
/// `model.export("m.onnx", format="onnx", input_signature=[keras.InputSpec(shape=(1, 28, 28, 1), dtype="float32")])`.
/// The network takes any number of rows.
///
/// Known are the operators Add (of a bias, or of two branches), AveragePool, BatchNormalization, Cast, Clip (from 0
/// on, or 0 to 6), Concat, Constant, Conv, ConvTranspose, Dropout, Elu, Flatten, Gelu, Gemm, GlobalAveragePool,
/// GlobalMaxPool, GroupNormalization, Identity, InstanceNormalization, LayerNormalization, LeakyRelu, LogSoftmax,
/// MatMul, MaxPool, Mul (in SiLU and GELU, and by a constant after a BatchNormalization), Pad, PRelu, ReduceMean (of pixels), Relu, Reshape, Resize, Sigmoid,
/// Softmax, Sub (of a mean), Tanh and Transpose (of channels), from opset 9 on.
///
/// ```
/// use bn_net::Network;
/// let network = Network::builder(4).affine(8).batch_norm().relu().affine(3).build(42)?;
/// let again = bn_onnx::from_bytes(&bn_onnx::to_bytes(&network)?)?;
/// assert!(again.layer_names().eq(["affine", "batch_norm", "relu", "affine"]));
/// let x = ndarray::array![[1.0, 2.0, 3.0, 4.0]];
/// assert_eq!(again.predict(x.view())?, network.predict(x.view())?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] for bytes that are not a model, or one that contradicts itself; [`Error::Unsupported`] for an
/// operator or a setting that has no layer; [`Error::Network`] for layers that do not fit together. The memory that an
/// import needs is at most 2000 times the number of bytes and 2 MiB, whatever they say.
pub fn from_bytes(bytes: &[u8]) -> Result<Network<f32>, Error> {
    let model = ModelProto::decode(bytes).map_err(|error| Error::Invalid {
        reason: error.to_string(),
    })?;
    let mut versions = model.opset_import.iter();
    let opset = match versions.find(|version| ["", "ai.onnx"].contains(&&*version.domain)) {
        Some(version) => version.version,
        None => return invalid("it does not say which opset it uses"),
    };
    if !(9..=25).contains(&opset) {
        return invalid(format!("its opset is {opset}; opsets 9 to 25 can be read"));
    }
    let Some(graph) = model.graph else {
        return invalid("it has no graph");
    };
    let (mut graph, nodes) = Graph::new(graph, opset, bytes.len())?;
    let walk = Walk {
        nodes: &nodes,
        graph: &mut graph,
    };
    walk.network()
}

/// [`from_bytes`] of a file.
///
/// # Errors
/// As [`from_bytes`], and [`Error::Read`].
pub fn load(path: impl AsRef<Path>) -> Result<Network<f32>, Error> {
    let path = path.as_ref();
    let bytes = bn_data::read_whole(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    from_bytes(&bytes)
}
