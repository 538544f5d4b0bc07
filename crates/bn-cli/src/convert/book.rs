//! The arrays of the programs of the book *Deep Learning from Scratch*.

use crate::error::Error;
use bn_data::Npz;
use bn_layers::LayerExt;
use bn_net::{MultiLayerNet, MultiLayerNetConfig, Network};
use ndarray::Array2;
use std::path::Path;

/// The largest difference of outputs, relative to the largest output, of a network and its form in the book.
const TOLERANCE: f32 = 1e-4;

/// The network of a file, whose arrays say how many layers it has.
pub(super) fn read(path: &Path) -> Result<Network, Error> {
    let mut file = Npz::open(path)?;
    let names = file.names();
    let mut sizes = Vec::new();
    for layer in 1.. {
        let name = format!("W{layer}");
        if !names.contains(&name) {
            break;
        }
        match *file.array(&name)?.shape() {
            [inputs, outputs] if sizes.is_empty() => sizes.extend([inputs, outputs]),
            [inputs, outputs] if sizes.last() == Some(&inputs) => sizes.push(outputs),
            _ => {
                return Err(refuse(
                    path,
                    &format!("{name} is no matrix that fits the one before"),
                ));
            }
        }
    }
    let [inputs, hidden @ .., outputs] = &sizes[..] else {
        return Err(refuse(path, "it has no array W1"));
    };
    let has = |name: &str| names.iter().any(|known| known == name);
    let config = MultiLayerNetConfig {
        use_batchnorm: has("gamma1"),
        ..MultiLayerNetConfig::new(*inputs, hidden, *outputs)
    };
    let mut network = MultiLayerNet::new(&config, 0)?;
    network.load_params(path)?;
    Ok(network.network().clone())
}

/// Writes a network of Affine – BatchNormalization – ReLU, if the book's network computes the same with its arrays.
pub(super) fn write(path: &Path, network: &Network) -> Result<(), Error> {
    let (mut hidden, mut names) = (Vec::new(), network.layer_names());
    let affine = |name: &str| name.starts_with("affine");
    for (name, shape) in network.layer_names().zip(network.layer_shapes()) {
        if affine(name) {
            hidden.push(shape.size());
        } else if !["batch_norm", "relu", "dropout"].contains(&name) {
            return Err(refuse(
                path,
                &format!("the book's network has no layer {name}"),
            ));
        }
    }
    let outputs = hidden
        .pop()
        .ok_or_else(|| refuse(path, "it has no affine layer"))?;
    let config = MultiLayerNetConfig {
        use_batchnorm: names.any(|name| name == "batch_norm"),
        ..MultiLayerNetConfig::new(network.input().size(), &hidden, outputs)
    };
    let mut of_book = MultiLayerNet::new(&config, 0)?;
    copy(network, &mut of_book);
    check(path, network, &of_book)?;
    Ok(of_book.save_params(path)?)
}

/// Gives the book's network the arrays of the same kind, in their order. A bias that is missing is 0.
fn copy(network: &Network, to: &mut MultiLayerNet) {
    let mut arrays = Vec::new(); // of each affine layer and what follows it
    network.visit(&mut |p| {
        let kind = p.name.rsplit('.').next().unwrap_or_default();
        if kind == "weight" {
            arrays.push(Vec::new());
        }
        if let Some(layer) = arrays.last_mut() {
            layer.push((kind.to_owned(), p.value.to_vec()));
        }
    });
    to.visit_params_mut(&mut |p| {
        let kind = p.name.trim_end_matches(|c: char| c.is_ascii_digit());
        let layer: usize = p.name[kind.len()..].parse().unwrap_or(0);
        let kind = match kind {
            "W" => "weight",
            "b" => "bias",
            kind => kind,
        };
        let layer = layer.checked_sub(1).and_then(|i| arrays.get(i));
        let array = layer.and_then(|layer| layer.iter().find(|(of, _)| of == kind));
        match array {
            Some((_, values)) if values.len() == p.value.len() => p.value.copy_from_slice(values),
            _ => p.value.fill(0.0),
        }
    });
}

/// The outputs agree on rows that differ in each value.
fn check(path: &Path, network: &Network, of_book: &MultiLayerNet) -> Result<(), Error> {
    let values = network.input().size();
    let x = Array2::from_shape_fn((8, values), |(n, d)| ((n * values + d) as f32).sin());
    let (ours, books) = (network.predict(x.view())?, of_book.predict(x.view())?);
    let largest = ours.fold(0.0f32, |most, y| most.max(y.abs()));
    let differ = (&ours - &books).fold(0.0f32, |most, d| most.max(d.abs()));
    match differ <= TOLERANCE * largest.max(1.0) {
        true => Ok(()),
        false => Err(refuse(
            path,
            "the book's network would compute something else with these arrays",
        )),
    }
}

fn refuse(path: &Path, reason: &str) -> Error {
    Error::input(
        format!("{}: {reason}", path.display()),
        "the book's networks have affine layers, each but the last with ReLU and perhaps Batch Normalization",
    )
}
