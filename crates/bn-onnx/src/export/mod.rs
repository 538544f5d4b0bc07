//! From a network to a model: `graph` collects nodes and arrays, `form` converts between the orders of values,
//! `layers`, `normalizations` and `images` write each layer, `chain` all layers of a network.

mod chain;
mod form;
mod graph;
mod images;
mod layers;
mod normalizations;

use crate::{
    error::{Error, invalid},
    proto::{
        DimensionProto, GraphProto, ModelProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
        TensorTypeProto, TypeProto, ValueInfoProto,
    },
};
use bn_layers::{LayerExt, Shape};
use bn_net::{Network, Scalar};
use graph::Graph;
use prost::Message;
use std::{collections::BTreeMap, io::Write, path::Path};

/// The network in evaluation, as an ONNX model in `f32`.
///
/// The input has the name `input`, the output `output`, and the first axis of both is the batch, `N`. Flat rows are
/// `(N, D)`, images `(N, C, H, W)`: channels first, unlike inside the library
/// ([`images_to_channels_first`](bn_layers::images_to_channels_first) converts a batch). Kernels and weights get the
/// layouts of PyTorch, and the weights after a flattened image are reordered for channels first.
///
/// The operators are those of opset 17 and IR version 8. A network that needs a newer operator gets its opset:
/// `Resize2d` to a size that is no multiple 18, a dilated `AvgPool2d` 19, `Gelu` 20, `GroupNorm` 21. Dropout stays as a
/// node that does nothing in inference; the book's Dropout is a multiplication by a constant, which
/// [`from_bytes`](crate::from_bytes) does not read. ONNX has no weight decay and only one kind of running average.
///
/// ```
/// use bn_net::Network;
/// let network = Network::builder((8, 8, 3))
///     .conv2d(bn_layers::Conv2dConfig::new(4, 3)).batch_norm().relu()
///     .global_avg_pool2d().affine(2)
///     .build(1)?;
/// let bytes = bn_onnx::to_bytes(&network)?;
/// assert_eq!(bn_onnx::from_bytes(&bytes)?.param_count(), network.param_count());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::NoOperator`] for a layer that ONNX has no operator for, such as a BatchNormalization without running
/// statistics or a layer from another crate; [`Error::Network`] for a layer that does not describe itself.
pub fn to_bytes<T: Scalar>(network: &Network<T>) -> Result<Vec<u8>, Error> {
    let spec = network.spec()?;
    let mut arrays = BTreeMap::new();
    network.visit(&mut |p| {
        let values: Vec<f32> = p.value.iter().map(|v| v.as_f64() as f32).collect();
        arrays.insert(p.name.to_owned(), values);
    });
    let mut graph = Graph::new(arrays);
    let output = graph.network(&spec)?;
    let model = ModelProto {
        ir_version: match graph.opset {
            ..=18 => 8,
            19..=20 => 9,
            _ => 10,
        },
        producer_name: "bn-onnx".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: graph.opset,
        }],
        graph: Some(GraphProto {
            name: "network".to_owned(),
            input: vec![value_info("input", spec.input)],
            output: vec![value_info("output", output)],
            node: graph.nodes,
            initializer: graph.initializers,
        }),
        metadata_props: Vec::new(),
    };
    if model.encoded_len() > i32::MAX as usize {
        return invalid("the network is larger than 2 GiB, the most that a file of ONNX can hold");
    }
    Ok(model.encode_to_vec())
}

/// Writes [`to_bytes`] to a file, whole or not at all.
///
/// # Errors
/// As [`to_bytes`], and [`Error::Write`]; an existing file is then unchanged.
pub fn save<T: Scalar>(network: &Network<T>, path: impl AsRef<Path>) -> Result<(), Error> {
    let (bytes, path) = (to_bytes(network)?, path.as_ref());
    bn_data::write_whole(path, |file| file.write_all(&bytes)).map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

/// A batch of rows of this shape.
fn value_info(name: &str, shape: Shape) -> ValueInfoProto {
    let sizes = match shape {
        Shape::Flat(size) => vec![size],
        Shape::Image {
            height,
            width,
            channels,
        } => vec![channels, height, width],
    };
    let batch = DimensionProto {
        dim_value: None,
        dim_param: Some("N".to_owned()),
    };
    let sizes = sizes.into_iter().map(|size| DimensionProto {
        dim_value: i64::try_from(size).ok(),
        dim_param: None,
    });
    let tensor_type = TensorTypeProto {
        elem_type: TensorProto::FLOAT,
        shape: Some(TensorShapeProto {
            dim: std::iter::once(batch).chain(sizes).collect(),
        }),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            tensor_type: Some(tensor_type),
        }),
    }
}
