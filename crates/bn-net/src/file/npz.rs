//! The arrays of a network in NumPy's `.npz` files, under the names of the book or in the order of Keras.

use super::network::NetworkState;
use crate::{error::Error, model::MultiLayerNet, network::Network};
use bn_data::{Npy, Npz};
use bn_layers::{LayerExt, Param};
use bn_tensor::Scalar;
use ndarray::{ArrayD, IxDyn};
use std::{
    collections::BTreeMap,
    io::{Read, Seek},
    path::Path,
};

/// An array of a network: its name in the file, its name in the network, and its shape.
type Expected = (String, String, Vec<usize>);

impl<T: Scalar> MultiLayerNet<T> {
    /// Writes the parameters and running statistics to an `.npz` file, under the book's names `W1 b1 gamma1 beta1
    /// running_mean1 running_var1 …` and in its layout: `np.load(path)["W1"]` is `network.params["W1"]`.
    ///
    /// ```
    /// use bn_net::{MultiLayerNet, MultiLayerNetConfig};
    /// let config = MultiLayerNetConfig {
    ///     use_batchnorm: true,
    ///     ..MultiLayerNetConfig::new(4, &[8, 8], 3)
    /// };
    /// let network = MultiLayerNet::<f32>::new(&config, 1)?;
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("params.npz");
    /// network.save_params(&path)?;
    /// let mut again = MultiLayerNet::<f32>::new(&config, 2)?;
    /// again.load_params(&path)?;
    /// let x = ndarray::array![[1.0, 2.0, 3.0, 4.0]];
    /// assert_eq!(again.predict(x.view())?, network.predict(x.view())?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Data`].
    pub fn save_params(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let mut arrays = Vec::new();
        self.visit_params(&mut |p| arrays.push((p.name.to_owned(), npy(&p))));
        save(path.as_ref(), &arrays)
    }

    /// Reads what [`save_params`](Self::save_params) or `np.savez(path, **network.params)` has written; running
    /// statistics too, if there are Batch Normalizations.
    ///
    /// # Errors
    /// [`Error::Arrays`] with all arrays that are missing, unexpected, or of another shape; [`Error::Data`] for a
    /// file that cannot be read. The network is then unchanged.
    pub fn load_params(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.read_params(&mut Npz::open(path)?)
    }

    /// As [`load_params`](Self::load_params), from a file that is open or in memory.
    ///
    /// # Errors
    /// As [`load_params`](Self::load_params).
    pub fn read_params<R: Read + Seek>(&mut self, file: &mut Npz<R>) -> Result<(), Error> {
        let (mut names, mut expected) = (Vec::new(), Vec::new());
        self.visit_params(&mut |p| names.push(p.name.to_owned()));
        let mut in_file = names.into_iter();
        self.network().visit(&mut |p| {
            let name = in_file.next().unwrap_or_default();
            expected.push((name, p.name.to_owned(), p.shape.to_vec()));
        });
        read(file, self.network_mut(), expected)
    }
}

impl<T: Scalar> Network<T> {
    /// Writes the arrays in the order of Keras: in Python,
    /// `f = np.load(path); model.set_weights([f[f"arr_{i}"] for i in range(len(f.files))])`.
    ///
    /// Keras has the layouts of this library, and the same order in a `Sequential` model: kernel and bias; gamma, beta,
    /// mean and variance.
    ///
    /// ```
    /// use bn_net::Network;
    /// let build = |seed| Network::builder(4).affine(8).batch_norm().relu().affine(3).build(seed);
    /// let (network, mut again) = (build(1)?, build(2)?);
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("weights.npz");
    /// network.save_keras_weights(&path)?;
    /// again.load_keras_weights(&path)?;
    /// let x = ndarray::array![[1.0f32, 2.0, 3.0, 4.0]];
    /// assert_eq!(again.predict(x.view())?, network.predict(x.view())?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Data`].
    pub fn save_keras_weights(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let mut arrays = Vec::new();
        self.visit(&mut |p| arrays.push((in_order(arrays.len()), npy(&p))));
        save(path.as_ref(), &arrays)
    }

    /// Reads the weights of a Keras model with the same layers: in Python, `np.savez(path, *model.get_weights())`.
    ///
    /// # Errors
    /// As [`MultiLayerNet::load_params`].
    pub fn load_keras_weights(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.read_keras_weights(&mut Npz::open(path)?)
    }

    /// As [`load_keras_weights`](Self::load_keras_weights), from a file that is open or in memory.
    ///
    /// # Errors
    /// As [`MultiLayerNet::load_params`].
    pub fn read_keras_weights<R: Read + Seek>(&mut self, file: &mut Npz<R>) -> Result<(), Error> {
        let mut expected = Vec::new();
        self.visit(&mut |p| {
            let name = in_order(expected.len());
            expected.push((name, p.name.to_owned(), p.shape.to_vec()));
        });
        read(file, self, expected)
    }
}

/// The name that `np.savez` gives to an array without one.
fn in_order(index: usize) -> String {
    format!("arr_{index}")
}

fn npy<T: Scalar>(p: &Param<'_, T>) -> Npy {
    let values = p.value.iter().map(|v| v.as_f64());
    let shape = IxDyn(p.shape);
    // A parameter has as many values as its shape says.
    match size_of::<T>() {
        4 => {
            let values = values.map(|v| v as f32).collect(); // the f32 that it was
            Npy::F32(ArrayD::from_shape_vec(shape, values).unwrap_or_default())
        }
        _ => Npy::F64(ArrayD::from_shape_vec(shape, values.collect()).unwrap_or_default()),
    }
}

fn save(path: &Path, arrays: &[(String, Npy)]) -> Result<(), Error> {
    let arrays = arrays.iter().map(|(name, array)| (name.as_str(), array));
    Ok(Npy::save_npz(path, arrays)?)
}

/// Gives the network the arrays of a file, if they are exactly those that are expected.
fn read<T: Scalar, R: Read + Seek>(
    file: &mut Npz<R>,
    network: &mut Network<T>,
    expected: Vec<Expected>,
) -> Result<(), Error> {
    let there = file.names();
    let (mut arrays, mut faults) = (BTreeMap::new(), Vec::new());
    for name in &there {
        if !expected.iter().any(|(of_file, ..)| of_file == name) {
            faults.push(format!("{name} is unexpected"));
        }
    }
    for (of_file, name, shape) in expected {
        if !there.contains(&of_file) {
            faults.push(format!("{of_file} {shape:?} is missing"));
            continue;
        }
        let array: ArrayD<T> = match file.array(&of_file)? {
            Npy::F32(array) => array.mapv(|v| T::from_f64(v.into())),
            Npy::F64(array) => array.mapv(T::from_f64),
            other => {
                faults.push(format!("{of_file} has values of {}", other.element_type()));
                continue;
            }
        };
        match array.shape() == shape {
            true => drop(arrays.insert(name, array)),
            false => faults.push(format!("{of_file} is {:?}, not {shape:?}", array.shape())),
        }
    }
    if !faults.is_empty() {
        return Err(Error::Arrays {
            path: file.path().map(Path::to_owned),
            reason: faults.join("; "),
        });
    }
    NetworkState::of_arrays(arrays).give_to(network);
    Ok(())
}
