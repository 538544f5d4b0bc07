use crate::{error::Error, plan::Plan};
use bn_layers::{LayerExt, Scalar};
use bn_net::Network;
use ndarray::{ArrayView, IxDyn};
use safetensors::{Dtype, tensor::TensorView};
use std::{io::Write, path::Path};

/// A tensor to be written.
struct Stored {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// The network's parameters, running statistics and numbers of batches as a state_dict: the bytes that
/// `safetensors.torch.save_file` would write.
///
/// In Python, `model.load_state_dict(safetensors.torch.load_file(path), strict=True)` loads them into the module that
/// [`sequential`](crate::sequential) prints. Values have the type of the network, `F32` or `F64`.
///
/// # Errors
/// [`Error::NoModule`] as [`sequential`](crate::sequential).
pub fn to_bytes<T: Scalar>(network: &Network<T>) -> Result<Vec<u8>, Error> {
    let (plan, _) = Plan::of(network)?;
    let mut stored = Vec::new();
    network.visit(&mut |p| {
        let Some(tensor) = plan.tensors.get(p.name) else {
            return;
        };
        // The plan has checked that the array has as many values.
        if let Ok(array) = ArrayView::from_shape(IxDyn(&tensor.axes), p.value) {
            let array = array.permuted_axes(IxDyn(&tensor.order));
            let (dtype, bytes) = bytes_of(array.iter().copied());
            stored.push(Stored {
                name: tensor.name.clone(),
                dtype,
                shape: tensor.shape.clone(),
                bytes,
            });
        }
    });
    network.visit_counters(&mut |counter, value| {
        if let Some(name) = plan.counters.get(counter) {
            let count = i64::try_from(value).unwrap_or(i64::MAX);
            stored.push(Stored {
                name: name.clone(),
                dtype: Dtype::I64,
                shape: Vec::new(),
                bytes: count.to_le_bytes().to_vec(),
            });
        }
    });
    let refused = |error: safetensors::SafeTensorError| Error::TooLarge {
        reason: error.to_string(),
    };
    let mut views = Vec::with_capacity(stored.len());
    for Stored {
        name,
        dtype,
        shape,
        bytes,
    } in &stored
    {
        let view = TensorView::new(*dtype, shape.clone(), bytes).map_err(refused)?;
        views.push((name.as_str(), view));
    }
    safetensors::serialize(views, None).map_err(refused)
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

fn bytes_of<T: Scalar>(values: impl Iterator<Item = T>) -> (Dtype, Vec<u8>) {
    match size_of::<T>() {
        4 => {
            let values = values.flat_map(|v| (v.as_f64() as f32).to_le_bytes()); // the f32 that it was
            (Dtype::F32, values.collect())
        }
        _ => (
            Dtype::F64,
            values.flat_map(|v| v.as_f64().to_le_bytes()).collect(),
        ),
    }
}
