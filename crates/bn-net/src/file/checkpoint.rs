use super::{array::Stored, json, whole::write_whole};
use crate::error::Error;
use bn_tensor::Scalar;
use ndarray::ArrayD;
use safetensors::SafeTensors;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    io::Write,
    path::Path,
};

/// The key of the file's metadata under which all values are stored, as one JSON object. It has the version of the
/// format. (One key, because several would be written in any order.)
const VALUES: &str = "bn.1";

/// The key in files of version 0, in which networks have no descriptions.
const VALUES_0: &str = "bn";

/// What the keys of all later versions begin with.
const ANY_VERSION: &str = "bn.";

/// The key of the metadata in the file's header, which no array can have.
const METADATA: &str = "__metadata__";

/// Named arrays and named values, from which training resumes: networks, the state of their
/// optimizers, the position in the stream of mini-batches, and whatever else the caller adds.
///
/// The file has the [safetensors](https://github.com/huggingface/safetensors) format, which other
/// tools read too. Arrays keep every bit. The arrays of a network are named as its parameters, after
/// a prefix (`network.layers.0.weight`). The counters of its layers are stored with them: how many
/// masks a Dropout has drawn, how many batches a BatchNormalization has seen. So a resumed run
/// computes the same bits as one that never stopped. A network whose layers all describe themselves can be
/// [built from the file](Self::network) by somebody who does not know it.
///
/// A call that fails changes nothing: neither the checkpoint, nor the file, nor what was to be
/// restored.
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
    arrays: BTreeMap<String, Stored>,
    values: BTreeMap<String, Value>,
}

impl Checkpoint {
    /// Creates an empty checkpoint.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the array `values`, in row-major order, of shape `shape`.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the values do not fit the shape, if the name is taken, or if it is
    /// `__metadata__`, which the format reserves.
    pub fn add_array<T: Scalar>(
        &mut self,
        name: &str,
        shape: &[usize],
        values: &[T],
    ) -> Result<(), Error> {
        if name == METADATA {
            return refuse(format!("an array cannot be named {METADATA}"));
        }
        if self.arrays.contains_key(name) {
            return refuse(format!("it has an array {name} already"));
        }
        match Stored::new(shape, values) {
            Ok(stored) => {
                self.arrays.insert(name.to_owned(), stored);
                Ok(())
            }
            Err(reason) => refuse(format!("{name}: {reason}")),
        }
    }

    /// The array of this name.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if there is none, or if its values are not of type `T`.
    pub fn array<T: Scalar>(&self, name: &str) -> Result<ArrayD<T>, Error> {
        let Some(stored) = self.arrays.get(name) else {
            return refuse(format!("it has no array {name}"));
        };
        let array = stored.to_array();
        array.or_else(|reason| refuse(format!("{name}: {reason}")))
    }

    /// Adds a value that can be written as JSON.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if it cannot be written as JSON, which has no NaN and no infinity; if it
    /// is nested deeper than 100 levels; or if the name is taken.
    pub fn add_value(&mut self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        if self.values.contains_key(name) {
            return refuse(format!("it has a value {name} already"));
        }
        let json = json::check(value)
            .and_then(|()| serde_json::to_value(value).map_err(|error| error.to_string()));
        match json {
            Ok(json) => {
                self.values.insert(name.to_owned(), json);
                Ok(())
            }
            Err(reason) => refuse(format!("{name}: {reason}")),
        }
    }

    /// The value of this name.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if there is none, or if it is of another type.
    pub fn value<V: DeserializeOwned>(&self, name: &str) -> Result<V, Error> {
        let Some(value) = self.values.get(name) else {
            return refuse(format!("it has no value {name}"));
        };
        V::deserialize(value).or_else(|error| refuse(format!("{name}: {error}")))
    }

    pub(super) fn has_value(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The names of all values, in order.
    pub(super) fn value_names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The number of values of all arrays together.
    pub(super) fn array_values(&self) -> usize {
        self.arrays.values().map(Stored::len).sum()
    }

    /// Adds all that another checkpoint has.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if a name is taken; nothing is added then.
    pub(crate) fn append(&mut self, mut other: Self) -> Result<(), Error> {
        let taken = |name: &&String| self.arrays.contains_key(*name);
        if let Some(name) = other.arrays.keys().find(taken) {
            return refuse(format!("it has an array {name} already"));
        }
        let taken = |name: &&String| self.values.contains_key(*name);
        if let Some(name) = other.values.keys().find(taken) {
            return refuse(format!("it has a value {name} already"));
        }
        self.arrays.append(&mut other.arrays);
        self.values.append(&mut other.values);
        Ok(())
    }

    /// Writes the file. Whoever opens `path` finds the old file or the new one, also after a crash;
    /// see [`bn_data::write_whole`].
    ///
    /// # Errors
    /// [`Error::Write`]; [`Error::Checkpoint`] as [`to_bytes`](Self::to_bytes).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let bytes = self.to_bytes()?;
        write_whole(path.as_ref(), |file| file.write_all(&bytes))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Checkpoint`] if the file is not a checkpoint of this library.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = bn_data::read_whole(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&bytes).or_else(|reason| refuse_file(&path.display().to_string(), &reason))
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if names, shapes and values take more than 100 MB, the limit of the
    /// format's header.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let values = serde_json::to_string(&self.values)
            .or_else(|error| refuse(format!("its values: {error}")))?;
        let metadata = HashMap::from([(VALUES.to_owned(), values)]);
        let bytes = safetensors::serialize(&self.arrays, Some(metadata));
        bytes.or_else(|error| refuse(error.to_string()))
    }

    /// Reads the bytes of a file.
    ///
    /// ```
    /// use bn_net::Checkpoint;
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.add_array("a", &[2, 1], &[1.0f32, 2.0])?;
    /// assert_eq!(Checkpoint::from_bytes(&checkpoint.to_bytes()?)?, checkpoint);
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if they are not those of a checkpoint of this library.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Self::parse(bytes).or_else(|reason| refuse_file("the data", &reason))
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = |error: safetensors::SafeTensorError| error.to_string();
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(text)?;
        let lacks = || format!("its metadata lack the key `{VALUES}`");
        let keys = metadata.metadata().as_ref().ok_or_else(lacks)?;
        let values = match keys.get(VALUES).or_else(|| keys.get(VALUES_0)) {
            Some(values) => values,
            None if keys.keys().any(|key| key.starts_with(ANY_VERSION)) => {
                return Err("a newer version has written it; update this library".to_owned());
            }
            None => return Err(lacks()),
        };
        let values = serde_json::from_str(values).map_err(|error| error.to_string())?;
        let file = SafeTensors::deserialize(bytes).map_err(text)?;
        let mut arrays = BTreeMap::new();
        for (name, view) in file.iter() {
            let stored = Stored::from_view(&view).map_err(|reason| format!("{name}: {reason}"))?;
            arrays.insert(name.to_owned(), stored);
        }
        Ok(Self { arrays, values })
    }
}

pub(super) fn refuse<V>(reason: String) -> Result<V, Error> {
    Err(Error::Checkpoint { reason })
}

fn refuse_file<V>(what: &str, reason: &str) -> Result<V, Error> {
    refuse(format!(
        "{what} is not a checkpoint of this library: {reason}"
    ))
}
