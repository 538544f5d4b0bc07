//! A network in a file of its own, with what its users need to know.

use super::checkpoint::{Checkpoint, refuse};
use crate::{error::Error, network::Network};
use bn_data::Preprocessing;
use bn_tensor::Scalar;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The name of the network in the file; a [`Trainer`](crate::Trainer) gives it the same.
const NETWORK: &str = "network";

/// The name of the rest.
const MODEL: &str = "model";

/// A network, how its inputs are prepared, and what its outputs mean.
///
/// ```
/// use bn_data::Preprocessing;
/// use bn_net::{Model, Network};
/// let network = Network::builder(4).affine(8).batch_norm().relu().affine(2).build(1)?;
/// let mut model = Model::from(network);
/// model.preprocessing = Preprocessing::pixels();
/// model.classes = vec!["cat".to_owned(), "dog".to_owned()];
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("pets.safetensors");
/// model.save(&path)?;
///
/// let again = Model::<f32>::load(&path)?; // without any knowledge of the network
/// assert_eq!(again.classes, ["cat", "dog"]);
/// assert_eq!(again.preprocessing, Preprocessing::pixels());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Model<T: Scalar = f32> {
    /// The network.
    pub network: Network<T>,
    /// From the values of an image's file to those that the network takes. By default nothing.
    pub preprocessing: Preprocessing,
    /// The names of the classes, one for each output; empty if they have none.
    pub classes: Vec<String>,
}

/// All but the network, as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Info {
    preprocessing: Preprocessing,
    classes: Vec<String>,
}

impl<T: Scalar> From<Network<T>> for Model<T> {
    fn from(network: Network<T>) -> Self {
        Self {
            network,
            preprocessing: Preprocessing::default(),
            classes: Vec::new(),
        }
    }
}

impl<T: Scalar> Model<T> {
    /// Writes the file, whole or not at all, in the format of a [`Checkpoint`]: the network under the name `network`,
    /// the rest as the value `model`.
    ///
    /// # Errors
    /// [`Error::NoSpec`] for a layer that does not describe itself, [`Error::Checkpoint`] for another number of classes
    /// than outputs, [`Error::Write`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.to_checkpoint()?.save(path)
    }

    /// What [`save`](Self::save) writes, for values of the program's own.
    ///
    /// ```
    /// use bn_net::{Model, Network};
    /// let model = Model::from(Network::builder(4).affine(2).build(1)?);
    /// let mut checkpoint = model.to_checkpoint()?;
    /// checkpoint.add_value("trained_on", &"iris")?; // its file is a model's all the same
    /// assert_eq!(Model::<f32>::from_checkpoint(&checkpoint)?.network.param_count(), 10);
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`save`](Self::save), without [`Error::Write`].
    pub fn to_checkpoint(&self) -> Result<Checkpoint, Error> {
        let mut checkpoint = checkpoint_of(&self.network)?;
        check_classes(&self.classes, &self.network)?;
        let (preprocessing, classes) = (self.preprocessing.clone(), self.classes.clone());
        let info = Info {
            preprocessing,
            classes,
        };
        checkpoint.add_value(MODEL, &info)?;
        Ok(checkpoint)
    }

    /// Reads a file of [`save`](Self::save) or [`Network::save`], or a checkpoint that has one network or one by the
    /// name `network`, such as a [`Trainer`](crate::Trainer)'s.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Checkpoint`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::from_checkpoint(&Checkpoint::load(path)?)
    }

    /// As [`load`](Self::load).
    ///
    /// # Errors
    /// [`Error::Checkpoint`].
    pub fn from_checkpoint(checkpoint: &Checkpoint) -> Result<Self, Error> {
        let names = checkpoint.network_names();
        let name = match &names[..] {
            [only] => only,
            _ if names.iter().any(|name| name == NETWORK) => NETWORK,
            [] => return refuse("it has no network".to_owned()),
            _ => {
                let names = names.join(", ");
                return refuse(format!(
                    "it has the networks {names}; take one with Checkpoint::network"
                ));
            }
        };
        let mut model = Self::from(checkpoint.network(name)?);
        if checkpoint.has_value(MODEL) {
            let info: Info = checkpoint.value(MODEL)?;
            check_classes(&info.classes, &model.network)?;
            (model.preprocessing, model.classes) = (info.preprocessing, info.classes);
        }
        Ok(model)
    }
}

impl<T: Scalar> Network<T> {
    /// Writes the network to a file, whole or not at all: its parameters, running statistics and counters, and the
    /// description of its layers, so that [`load`](Self::load) needs nothing else. [`Model::save`] adds how images are
    /// prepared and the names of classes, [`Checkpoint`] an optimizer and whatever else.
    ///
    /// ```
    /// use bn_net::Network;
    /// let network = Network::builder(4).affine(8).batch_norm().relu().affine(3).build(1)?;
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("network.safetensors");
    /// network.save(&path)?;
    /// let again = Network::<f32>::load(&path)?;
    /// let x = ndarray::array![[1.0, 2.0, 3.0, 4.0]];
    /// assert_eq!(again.predict(x.view())?, network.predict(x.view())?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSpec`] for a layer that does not describe itself, [`Error::Write`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        checkpoint_of(self)?.save(path)
    }

    /// Reads a network from a file, as [`Model::load`] does. Nothing in it is frozen.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Checkpoint`] for a file that is not this library's, is damaged or has no description
    /// of a network, and for values of another type than `T` (load them as they are, and use [`to`](Self::to)).
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Model::load(path)?.network)
    }
}

fn checkpoint_of<T: Scalar>(network: &Network<T>) -> Result<Checkpoint, Error> {
    network.spec()?; // says which layer has none
    let mut checkpoint = Checkpoint::new();
    checkpoint.add_network(NETWORK, network)?;
    Ok(checkpoint)
}

fn check_classes<T: Scalar>(classes: &[String], network: &Network<T>) -> Result<(), Error> {
    let (outputs, count) = (network.output().size(), classes.len());
    match count == 0 || count == outputs || (count, outputs) == (2, 1) {
        true => Ok(()),
        false => refuse(format!(
            "there are {count} names of classes for {outputs} outputs"
        )),
    }
}
