use super::whole::write_whole;
use crate::error::Error;
use bn_tensor::Scalar;
use ndarray::{ArrayD, IxDyn};
use safetensors::{Dtype, SafeTensors, tensor::View};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    io::Write,
    path::Path,
};

/// The key of the file's metadata under which the values stand, as one JSON object.
const VALUES: &str = "bn";

/// Named arrays and named values, to go on from later: networks, what their optimizers remember,
/// the place among the mini-batches, and whatever the caller adds.
///
/// The file is of the [safetensors](https://github.com/huggingface/safetensors) format, which other
/// tools read too; arrays keep every bit. A network's are named as its parameters, after a prefix
/// (`network.layers.0.weight`); with them go the counters of its layers: how many masks a Dropout
/// has drawn, how many batches a BatchNormalization has seen. So training goes on to the same bits
/// as if it had never stopped.
///
/// ```
/// use bn_net::{Adam, Checkpoint, Network, SoftmaxWithLoss};
/// use ndarray::Array2;
/// let x = Array2::from_shape_fn((8, 4), |(n, d)| ((n * 4 + d) as f32).sin());
/// let labels = [0, 1, 2, 0, 1, 2, 0, 1];
/// let network = || Network::builder(4).affine(8).batch_norm().relu().dropout(0.2).affine(3).build(1);
/// let (mut net, mut adam, mut loss) = (network()?, Adam::book(0.01)?, SoftmaxWithLoss::new());
/// net.train_step(x.view(), (&labels[..]).into(), &mut loss, &mut adam)?;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("run.safetensors");
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.add_network("network", &net)?;
/// checkpoint.add_optimizer("adam", &adam)?;
/// checkpoint.add_value("step", &1)?;
/// checkpoint.save(&path)?;
/// let expected = net.train_step(x.view(), (&labels[..]).into(), &mut loss, &mut adam)?;
///
/// let (mut net, mut adam) = (network()?, Adam::book(0.01)?);
/// let checkpoint = Checkpoint::load(&path)?;
/// checkpoint.restore_network("network", &mut net)?;
/// checkpoint.restore_optimizer("adam", &mut adam, &net)?;
/// assert_eq!(checkpoint.value::<u64>("step")?, 1);
/// assert_eq!(net.train_step(x.view(), (&labels[..]).into(), &mut loss, &mut adam)?, expected);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checkpoint {
    pub(super) arrays: BTreeMap<String, Stored>,
    values: BTreeMap<String, Value>,
}

/// An array as the file holds it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>, // little-endian, in row-major order
}

impl View for &Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

impl Checkpoint {
    /// Creates an empty checkpoint.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the array `values`, in row-major order, of shape `shape`.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when shape and values do not fit, or the name is taken.
    pub fn add_array<T: Scalar>(
        &mut self,
        name: &str,
        shape: &[usize],
        values: &[T],
    ) -> Result<(), Error> {
        if shape.iter().product::<usize>() != values.len() {
            let len = values.len();
            return refuse(format!("{name}: {len} values are not of shape {shape:?}"));
        }
        let mut bytes = Vec::with_capacity(size_of_val(values));
        match dtype::<T>() {
            Dtype::F32 => values.iter().for_each(|v| {
                bytes.extend_from_slice(&(v.as_f64() as f32).to_le_bytes()); // the f32 that it was
            }),
            _ => values
                .iter()
                .for_each(|v| bytes.extend_from_slice(&v.as_f64().to_le_bytes())),
        }
        let stored = Stored {
            dtype: dtype::<T>(),
            shape: shape.to_vec(),
            bytes,
        };
        match self.arrays.insert(name.to_owned(), stored) {
            None => Ok(()),
            Some(_) => refuse(format!("it has an array {name} already")),
        }
    }

    /// The array of this name.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when there is none, or its values are not of type `T`.
    pub fn array<T: Scalar>(&self, name: &str) -> Result<ArrayD<T>, Error> {
        let Some(stored) = self.arrays.get(name) else {
            return refuse(format!("it has no array {name}"));
        };
        if stored.dtype != dtype::<T>() {
            let (expected, got) = (dtype::<T>(), stored.dtype);
            return refuse(format!(
                "{name}: expected values of {expected:?}, got {got:?}"
            ));
        }
        let values = match stored.dtype {
            Dtype::F32 => {
                let (values, _) = stored.bytes.as_chunks();
                values
                    .iter()
                    .map(|&b| T::from_f64(f32::from_le_bytes(b).into()))
                    .collect()
            }
            _ => {
                let (values, _) = stored.bytes.as_chunks();
                values
                    .iter()
                    .map(|&b| T::from_f64(f64::from_le_bytes(b)))
                    .collect()
            }
        };
        ArrayD::from_shape_vec(IxDyn(&stored.shape), values).or_else(|error| {
            refuse(format!("{name}: {error}")) // the file's reader has seen that it fits
        })
    }

    /// Adds a value that can be written as JSON.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when it cannot, or the name is taken.
    pub fn add_value(&mut self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        let value = match serde_json::to_value(value) {
            Ok(value) => value,
            Err(error) => return refuse(format!("{name}: {error}")),
        };
        match self.values.insert(name.to_owned(), value) {
            None => Ok(()),
            Some(_) => refuse(format!("it has a value {name} already")),
        }
    }

    /// The value of this name.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when there is none, or it is of another kind.
    pub fn value<V: DeserializeOwned>(&self, name: &str) -> Result<V, Error> {
        let Some(value) = self.values.get(name) else {
            return refuse(format!("it has no value {name}"));
        };
        V::deserialize(value).or_else(|error| refuse(format!("{name}: {error}")))
    }

    /// Writes the file. Whatever happens meanwhile, it is the old one or the new one, whole.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        write_whole(path.as_ref(), |file| {
            let values = serde_json::to_string(&self.values)?;
            let metadata = HashMap::from([(VALUES.to_owned(), values)]);
            let bytes = safetensors::serialize(&self.arrays, Some(metadata));
            file.write_all(&bytes.map_err(std::io::Error::other)?)
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Checkpoint`] for a file that is none.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&bytes).or_else(|reason| {
            let path = path.display();
            refuse(format!(
                "{path} is not one that this library has written: {reason}"
            ))
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = |error: safetensors::SafeTensorError| error.to_string();
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(text)?;
        let values = metadata.metadata().as_ref().and_then(|m| m.get(VALUES));
        let values = values.ok_or("its metadata lack the key `bn`")?;
        let values = serde_json::from_str(values).map_err(|error| error.to_string())?;
        let file = SafeTensors::deserialize(bytes).map_err(text)?;
        let mut arrays = BTreeMap::new();
        for (name, view) in file.iter() {
            if !matches!(view.dtype(), Dtype::F32 | Dtype::F64) {
                return Err(format!("{name} is of {:?}", view.dtype()));
            }
            let stored = Stored {
                dtype: view.dtype(),
                shape: view.shape().to_vec(),
                bytes: view.data().to_vec(),
            };
            arrays.insert(name.to_owned(), stored);
        }
        Ok(Self { arrays, values })
    }
}

fn dtype<T: Scalar>() -> Dtype {
    match size_of::<T>() {
        4 => Dtype::F32,
        _ => Dtype::F64,
    }
}

pub(super) fn refuse<V>(reason: String) -> Result<V, Error> {
    Err(Error::Checkpoint { reason })
}
