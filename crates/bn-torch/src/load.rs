use crate::{
    error::{Error, Fault},
    plan::Plan,
};
use bn_layers::{Layer, LayerExt, Outcome, Scalar};
use bn_net::Network;
use half::{bf16, f16};
use ndarray::{ArrayViewMut, IxDyn};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::{collections::BTreeMap, path::Path};

/// Gives a network the parameters and running statistics of a state_dict, the bytes of a file that
/// `safetensors.torch.save_file(model.state_dict(), path)` has written.
///
/// The names are those of the [`sequential`](crate::sequential) of the network. Weights are transposed, and reordered
/// where an image is flattened or a row becomes an image. Values of 16, 32 and 64 bits are rounded to `T`.
/// `num_batches_tracked` becomes the number of batches that a BatchNormalization has seen; if it is missing, the number
/// stays as it is, as in PyTorch. A step of the network that has begun and has not ended is undone first. The memory that
/// reading takes is at most 100 times that of the bytes, and 64 KiB.
///
/// ```
/// use bn_net::Network;
/// let build = |seed| Network::builder(4).affine(8).batch_norm().relu().affine(3).build(seed);
/// let (network, mut again) = (build(1)?, build(2)?);
/// bn_torch::from_bytes(&bn_torch::to_bytes(&network)?, &mut again)?;
/// let x = ndarray::array![[1.0f32, 2.0, 3.0, 4.0]];
/// assert_eq!(again.predict(x.view())?, network.predict(x.view())?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Mismatch`] with all tensors that are missing, unexpected, of another shape or of another type;
/// [`Error::Invalid`] for bytes of another format; [`Error::NoModule`] as [`sequential`](crate::sequential). The network
/// is then unchanged.
pub fn from_bytes<T: Scalar>(bytes: &[u8], network: &mut Network<T>) -> Result<(), Error> {
    from_bytes_renamed(bytes, network, str::to_owned)
}

/// As [`from_bytes`], for a module whose names are not those of a Sequential: `rename` turns a name of the file into
/// that of the [`sequential`](crate::sequential) of the network.
///
/// ```
/// use bn_net::Network;
/// let build = |seed| Network::builder(4).affine(8).batch_norm().relu().affine(3).build(seed);
/// // A module whose layers are in `features`.
/// let (features, mut again): (Network, Network) = (build(1)?, build(2)?);
/// let bytes = bn_torch::to_bytes(&features)?;
/// let file = safetensors::SafeTensors::deserialize(&bytes)?;
/// let there = file.iter().map(|(name, tensor)| (format!("features.{name}"), tensor));
/// let there = safetensors::serialize(there, None)?;
///
/// bn_torch::from_bytes_renamed(&there, &mut again, |name| name.replace("features.", ""))?;
/// assert_eq!(bn_torch::to_bytes(&again)?, bytes);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`from_bytes`]; two tensors of the same name are part of [`Error::Mismatch`].
pub fn from_bytes_renamed<T: Scalar>(
    bytes: &[u8],
    network: &mut Network<T>,
    rename: impl Fn(&str) -> String,
) -> Result<(), Error> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| Error::Invalid {
        reason: error.to_string(),
    })?;
    let (plan, _) = Plan::of(network)?;
    let (mut there, mut faults) = (BTreeMap::new(), Vec::new());
    for (name, view) in file.iter() {
        let name = rename(name);
        if there.insert(name.clone(), view).is_some() {
            faults.push(Fault::Twice { name });
        }
    }
    let mut arrays = BTreeMap::new();
    for (array, tensor) in &plan.tensors {
        let name = &tensor.name;
        match there.remove(name) {
            Some(view) => match checked::<T>(name, &view, &tensor.shape) {
                Ok(()) => drop(arrays.insert(array.as_str(), (tensor, view))),
                Err(fault) => faults.push(fault),
            },
            None => faults.push(Fault::Missing {
                name: name.clone(),
                shape: tensor.shape.clone(),
            }),
        }
    }
    let mut counters = BTreeMap::new();
    for (counter, name) in &plan.counters {
        if let Some(view) = there.remove(name) {
            match count(name, &view) {
                Ok(count) => drop(counters.insert(counter.as_str(), count)),
                Err(fault) => faults.push(fault),
            }
        }
    }
    faults.extend(there.into_iter().map(|(name, view)| Fault::Unexpected {
        name,
        shape: view.shape().to_vec(),
    }));
    if !faults.is_empty() {
        return Err(Error::Mismatch { faults });
    }

    // Otherwise an open step that stands later would move the statistics.
    network.settle(Outcome::TakenBack);
    network.visit_mut(&mut |p| {
        let Some((tensor, view)) = arrays.get(p.name) else {
            return;
        };
        // The plan has checked that the array has as many values.
        if let Ok(array) = ArrayViewMut::from_shape(IxDyn(&tensor.axes), p.value) {
            let mut array = array.permuted_axes(IxDyn(&tensor.order));
            let values = array.iter_mut().zip(values(view));
            values.for_each(|(to, value)| *to = T::from_f64(value));
        }
    });
    network.visit_counters_mut(&mut |name, value| {
        *value = counters.get(name).copied().unwrap_or(*value);
    });
    Ok(())
}

/// [`from_bytes`] of a file.
///
/// # Errors
/// As [`from_bytes`], and [`Error::Read`].
pub fn load<T: Scalar>(path: impl AsRef<Path>, network: &mut Network<T>) -> Result<(), Error> {
    load_renamed(path, network, str::to_owned)
}

/// [`from_bytes_renamed`] of a file.
///
/// # Errors
/// As [`from_bytes_renamed`], and [`Error::Read`].
pub fn load_renamed<T: Scalar>(
    path: impl AsRef<Path>,
    network: &mut Network<T>,
    rename: impl Fn(&str) -> String,
) -> Result<(), Error> {
    let path = path.as_ref();
    let bytes = bn_data::read_whole(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    from_bytes_renamed(&bytes, network, rename)
}

/// Returns `Ok` for numbers of this shape that `T` can hold.
fn checked<T: Scalar>(name: &str, view: &TensorView<'_>, expected: &[usize]) -> Result<(), Fault> {
    let name = name.to_owned();
    if view.shape() != expected {
        return Err(Fault::Misshapen {
            name,
            expected: expected.to_vec(),
            got: view.shape().to_vec(),
        });
    }
    let reason = match view.dtype() {
        Dtype::F64 if values(view).any(overflows::<T>) => {
            "has a value that f32 cannot hold".to_owned()
        }
        Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64 => return Ok(()),
        other => format!("has values of {other:?}; they must be F16, BF16, F32 or F64"),
    };
    Err(Fault::Values { name, reason })
}

fn overflows<T: Scalar>(value: f64) -> bool {
    value.is_finite() && !T::from_f64(value).as_f64().is_finite()
}

/// The values of a tensor of one of the types that [`checked`] accepts.
fn values<'a>(view: &TensorView<'a>) -> Box<dyn Iterator<Item = f64> + 'a> {
    fn each<const SIZE: usize>(
        bytes: &[u8],
        value: fn([u8; SIZE]) -> f64,
    ) -> Box<dyn Iterator<Item = f64> + '_> {
        let (values, _) = bytes.as_chunks();
        Box::new(values.iter().map(move |&bytes| value(bytes)))
    }
    let bytes = view.data();
    match view.dtype() {
        Dtype::F16 => each(bytes, |bytes| f16::from_le_bytes(bytes).to_f64()),
        Dtype::BF16 => each(bytes, |bytes| bf16::from_le_bytes(bytes).to_f64()),
        Dtype::F32 => each(bytes, |bytes| f32::from_le_bytes(bytes).into()),
        _ => each(bytes, f64::from_le_bytes),
    }
}

/// A scalar that counts.
fn count(name: &str, view: &TensorView<'_>) -> Result<u64, Fault> {
    if !view.shape().is_empty() {
        return Err(Fault::Misshapen {
            name: name.to_owned(),
            expected: Vec::new(),
            got: view.shape().to_vec(),
        });
    }
    let is_integer = view.dtype() == Dtype::I64;
    let bytes = view.data().first_chunk().filter(|_| is_integer);
    let count = bytes.and_then(|&bytes| u64::try_from(i64::from_le_bytes(bytes)).ok());
    count.ok_or_else(|| Fault::Values {
        name: name.to_owned(),
        reason: "must be an I64 of 0 or more".to_owned(),
    })
}
