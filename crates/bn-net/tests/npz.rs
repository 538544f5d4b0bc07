//! Parameters in NumPy's files: those of the book's network and of Keras, both ways.

use bn_data::{Npy, NpyReader, Npz};
use bn_layers::{Conv2dConfig, LayerExt};
use bn_net::{
    Error, MultiLayerNet, MultiLayerNetConfig, Network, NetworkBuilder, Scalar, Sgd,
    SoftmaxWithLoss,
};
use ndarray::{Array2, ArrayD};
use std::{
    env, fs,
    io::Cursor,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// A file that `golden/make_npz.py` wrote.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

fn matrix(file: &str, name: &str) -> Array2<f64> {
    let array = match NpyReader::new().open_npz(golden(file), name).unwrap() {
        Npy::F32(array) => array.mapv(f64::from),
        Npy::F64(array) => array,
        other => panic!("{other:?}"),
    };
    array.into_dimensionality().unwrap()
}

fn book<T: Scalar>(seed: u64) -> MultiLayerNet<T> {
    let config = MultiLayerNetConfig {
        use_batchnorm: true,
        ..MultiLayerNetConfig::new(6, &[5], 3)
    };
    MultiLayerNet::new(&config, seed).unwrap()
}

fn keras<T: Scalar>(seed: u64) -> Network<T> {
    NetworkBuilder::new((6, 6, 2))
        .conv2d(Conv2dConfig::new(4, 3).same())
        .batch_norm_with(bn_layers::BatchNormConfig::keras())
        .relu()
        .conv_transpose2d(Conv2dConfig::new(3, 3).stride(2).same())
        .max_pool2d(2)
        .flatten()
        .dropout(0.2)
        .affine_without_bias(8)
        .batch_norm_with(bn_layers::BatchNormConfig::keras())
        .relu()
        .affine(3)
        .build(seed)
        .unwrap()
}

fn dense(seed: u64) -> Network {
    Network::builder(6)
        .affine(8)
        .batch_norm_with(bn_layers::BatchNormConfig::keras())
        .relu()
        .dropout(0.3)
        .affine_without_bias(5)
        .batch_norm_with(bn_layers::BatchNormConfig::keras())
        .tanh()
        .affine(3)
        .build(seed)
        .unwrap()
}

fn assert_close<T: Scalar>(got: &Array2<T>, want: &Array2<T>, tolerance: f64) {
    assert_eq!(got.dim(), want.dim());
    for (got, want) in got.iter().zip(want) {
        let (got, want) = (got.as_f64(), want.as_f64());
        assert!(
            (got - want).abs() <= tolerance * want.abs().max(1.0),
            "{got} {want}"
        );
    }
}

fn values<T: Scalar>(network: &Network<T>) -> Vec<T> {
    let mut values = Vec::new();
    network.visit(&mut |p| values.extend(p.value));
    values
}

#[test]
fn parameters_of_the_book_are_read_and_written() {
    let (x, y) = (matrix("book_io.npz", "x"), matrix("book_io.npz", "y"));
    let mut network = book::<f64>(1);
    network.load_params(golden("book_params.npz")).unwrap();
    assert_close(&network.predict(x.view()).unwrap(), &y, 1e-12);

    // Written again, each array is as NumPy wrote it.
    let folder = TempDir::new().unwrap();
    let [first, second] = ["a.npz", "b.npz"].map(|name| folder.path().join(name));
    network.save_params(&first).unwrap();
    let names = NpyReader::npz_names(&first).unwrap();
    assert_eq!(
        names,
        NpyReader::npz_names(golden("book_params.npz")).unwrap()
    );
    assert_eq!(names[..5], ["W1", "b1", "gamma1", "beta1", "running_mean1"]);
    for name in &names {
        let [a, b] = [&first, &golden("book_params.npz")]
            .map(|path| NpyReader::new().open_npz(path, name).unwrap());
        assert_eq!(a, b, "{name}");
    }
    network.save_params(&second).unwrap();
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap());

    // NumPy's f64 are read by an f32 network too.
    let mut network = book::<f32>(1);
    network.load_params(golden("book_params.npz")).unwrap();
    let of_f32 = network.predict(x.mapv(|v| v as f32).view()).unwrap();
    assert_close(&of_f32.mapv(f64::from), &y, 1e-5);
}

#[test]
fn weights_of_keras_are_read_and_written() {
    let [x, y] = ["x", "y"].map(|name| matrix("keras_io.npz", name).mapv(|v| v as f32));
    let mut network = keras::<f32>(1);
    network
        .load_keras_weights(golden("keras_weights.npz"))
        .unwrap();
    assert_close(&network.predict(x.view()).unwrap(), &y, 1e-5);

    let folder = TempDir::new().unwrap();
    let path = folder.path().join("weights.npz");
    network.save_keras_weights(&path).unwrap();
    let names = NpyReader::npz_names(&path).unwrap();
    assert_eq!(
        names,
        NpyReader::npz_names(golden("keras_weights.npz")).unwrap()
    );
    for name in &names {
        let [a, b] = [&path, &golden("keras_weights.npz")]
            .map(|path| NpyReader::new().open_npz(path, name).unwrap());
        assert_eq!(a, b, "{name}");
    }
    // It can be trained further.
    let (loss, sgd) = (&mut SoftmaxWithLoss::new(), &mut Sgd::new(0.05).unwrap());
    let mut step = || {
        let t = (&[0, 1, 2, 0][..]).into();
        network.train_step(x.view(), t, loss, sgd).unwrap()
    };
    let losses: Vec<f64> = (0..50).map(|_| step()).collect();
    assert!(losses[49] < 0.5 * losses[0], "{losses:?}");
}

/// Runs with `BN_PYTHON=python3`, where Keras 3 and PyTorch are installed.
#[test]
fn keras_reads_weights_and_computes_the_same() {
    let Ok(python) = env::var("BN_PYTHON") else {
        println!("skipped: BN_PYTHON does not name a Python with Keras and PyTorch");
        return;
    };
    let folder = TempDir::new().unwrap();
    for (name, mut network) in [("dense", dense(3)), ("convolutional", keras(4))] {
        // Running statistics too differ from those of the beginning.
        let mut count = 0.0f32;
        network.visit_mut(&mut |p| {
            for value in p.value.iter_mut() {
                count += 1.0;
                *value += 0.1 * count.sin();
            }
        });
        let d = network.input().size();
        let x = Array2::from_shape_fn((5, d), |(i, j)| ((i * d + j) as f32).cos());
        let y = network.predict(x.view()).unwrap();
        let path = |end: &str| folder.path().join(format!("{name}{end}"));
        network.save_keras_weights(path(".npz")).unwrap();
        let (x, y) = (Npy::F32(x.into_dyn()), Npy::F32(y.into_dyn()));
        Npy::save_npz(path("_io.npz"), [("x", &x), ("y", &y)]).unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/check_keras.py");
    let output = Command::new(&python)
        .arg(script)
        .arg(folder.path())
        .output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {python}: {error}"));
    let [text, errors] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    println!("{text}");
    assert!(output.status.success(), "{text}{errors}");
}

#[test]
fn all_that_does_not_fit_is_named_and_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("params.npz");
    let mut network = book::<f64>(1);
    let before = values(network.network());
    let (wrong, labels) = (
        Npy::F32(ArrayD::zeros(vec![5, 6])),
        Npy::I64(ArrayD::zeros(vec![5])),
    );
    Npy::save_npz(&path, [("W1", &wrong), ("b1", &labels), ("W9", &wrong)]).unwrap();
    let refused = |result: Result<(), Error>| match result.unwrap_err() {
        error @ Error::Arrays { .. } => error.to_string(),
        other => panic!("{other}"),
    };
    let reason = refused(network.load_params(&path));
    assert!(reason.starts_with(&path.display().to_string()), "{reason}");
    for part in [
        "does not fit the network: ",
        "W9 is unexpected",
        "W1 is [5, 6], not [6, 5]",
        "b1 has values of i64",
        "gamma1 [5] is missing",
        "b2 [3] is missing",
    ] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    let reason = refused(keras::<f32>(1).load_keras_weights(golden("book_params.npz")));
    assert!(reason.contains("arr_0"), "{reason}");

    let bytes = fs::read(golden("book_params.npz")).unwrap();
    let mut in_memory = Npz::new(Cursor::new(&bytes)).unwrap();
    let reason = refused(keras::<f32>(1).read_keras_weights(&mut in_memory));
    assert!(reason.starts_with("the arrays do not fit"), "{reason}");
    let (mut of_memory, mut of_file) = (book::<f64>(2), book::<f64>(3));
    of_memory.read_params(&mut in_memory).unwrap();
    of_file.load_params(golden("book_params.npz")).unwrap();
    assert_eq!(values(of_memory.network()), values(of_file.network()));
    for len in (0..bytes.len()).step_by(7) {
        fs::write(&path, &bytes[..len]).unwrap();
        let error = network.load_params(&path).unwrap_err();
        assert!(matches!(error, Error::Data(_)), "{error}");
    }
    assert!(network.load_params(folder.path()).is_err());
    assert!(network.load_params(folder.path().join("absent")).is_err());
    assert_eq!(values(network.network()), before);
    // A file that cannot be written leaves no other.
    assert!(network.save_params(folder.path()).is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
