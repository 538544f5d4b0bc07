//! Checkpoints keep every bit. What does not fit is refused and changes nothing.

use bn_data::BatchState;
use bn_layers::{Conv2dConfig, LayerExt};
use bn_net::{
    Adam, AdamW, Checkpoint, Error, Momentum, Network, NetworkBuilder, Optimizer, Sgd,
    SoftmaxWithLoss,
};
use bn_tensor::Scalar;
use ndarray::Array2;
use proptest::prelude::*;
use std::fs;

fn network<T: Scalar>(hidden: usize) -> Network<T> {
    NetworkBuilder::new((4, 4, 1))
        .conv2d(Conv2dConfig::new(3, 3).same())
        .relu()
        .dropout(0.3)
        .affine(hidden)
        .batch_norm()
        .relu()
        .dropout(0.2)
        .affine(3)
        .build(1)
        .unwrap()
}

fn batch<T: Scalar>() -> (Array2<T>, Vec<usize>) {
    let value = |(n, d)| T::from_f64(((n * 16 + d) as f64 * 0.37).sin());
    (
        Array2::from_shape_fn((12, 16), value),
        (0..12).map(|n| n % 3).collect(),
    )
}

fn train<T: Scalar>(network: &mut Network<T>, optimizer: &mut dyn Optimizer<T>, steps: usize) {
    let (x, labels) = batch();
    for _ in 0..steps {
        let loss = &mut SoftmaxWithLoss::new();
        network
            .train_step(x.view(), (&labels).into(), loss, optimizer)
            .unwrap();
    }
}

fn values<T: Scalar>(network: &Network<T>) -> Vec<T> {
    let mut values = Vec::new();
    network.visit(&mut |p| values.extend(p.value));
    values
}

/// Three steps, a save and a load, and four more steps give the bits of seven steps.
fn resumes<T: Scalar>(optimizer: fn() -> Box<dyn Optimizer<T>>) {
    let (mut whole, mut optimizer_of_whole) = (network(8), optimizer());
    train(&mut whole, &mut *optimizer_of_whole, 7);

    let (mut first, mut optimizer_of_first) = (network(8), optimizer());
    train(&mut first, &mut *optimizer_of_first, 3);
    optimizer_of_first
        .set_learning_rate(optimizer_of_first.learning_rate())
        .unwrap();
    let mut checkpoint = Checkpoint::new();
    checkpoint.add_network("net", &first).unwrap();
    checkpoint
        .add_optimizer("optimizer", &*optimizer_of_first)
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    checkpoint.save(&path).unwrap();
    let loaded = Checkpoint::load(&path).unwrap();
    assert_eq!(loaded, checkpoint);

    let (mut second, mut optimizer_of_second) = (network(8), optimizer());
    loaded.restore_network("net", &mut second).unwrap();
    loaded
        .restore_optimizer("optimizer", &mut *optimizer_of_second, &second)
        .unwrap();
    assert_eq!(values(&second), values(&first));
    train(&mut second, &mut *optimizer_of_second, 4);
    assert_eq!(values(&second), values(&whole));
    assert_ne!(values(&second), values(&first));
}

#[test]
fn training_resumes_to_the_same_bits() {
    resumes::<f32>(|| Box::new(Adam::book(0.01).unwrap()));
    resumes::<f64>(|| Box::new(AdamW::new(0.01, 0.1).unwrap()));
    resumes::<f32>(|| Box::new(Momentum::new(0.01, 0.9).unwrap()));
    resumes::<f32>(|| Box::new(Sgd::new(0.01).unwrap()));
}

#[test]
fn the_learning_rate_comes_back_too() {
    let mut checkpoint = Checkpoint::new();
    let optimizer: &dyn Optimizer<f32> = &Sgd::new(0.25).unwrap();
    checkpoint.add_optimizer("sgd", optimizer).unwrap();
    let mut other = Sgd::new(0.5).unwrap();
    checkpoint
        .restore_optimizer::<f32>("sgd", &mut other, &network::<f32>(8))
        .unwrap();
    assert_eq!(Optimizer::<f32>::learning_rate(&other), 0.25);
}

fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(error @ Error::Checkpoint { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let (mut trained, mut adam) = (network::<f32>(8), Adam::book(0.01).unwrap());
    train(&mut trained, &mut adam, 2);
    let mut checkpoint = Checkpoint::new();
    checkpoint.add_network("net", &trained).unwrap();
    checkpoint.add_optimizer("adam", &adam).unwrap();

    let mut wider = network::<f32>(9);
    let before = values(&wider);
    let reason = refused(checkpoint.restore_network("net", &mut wider));
    assert!(
        reason.contains("net.layers.3.weight") && reason.contains("[48, 9]"),
        "{reason}"
    );
    assert_eq!(values(&wider), before);

    let mut double = network::<f64>(8);
    let before = values(&double);
    let reason = refused(checkpoint.restore_network("net", &mut double));
    assert!(reason.contains("F64") && reason.contains("F32"), "{reason}");
    assert_eq!(values(&double), before);

    let mut shorter = Network::builder((4, 4, 1))
        .conv2d(Conv2dConfig::new(3, 3).same())
        .dropout(0.3)
        .build(1)
        .unwrap();
    let reason = refused(checkpoint.restore_network("net", &mut shorter));
    assert!(
        reason.contains("layers.3.bias, which this network lacks"),
        "{reason}"
    );

    assert!(
        refused(checkpoint.restore_network("other", &mut network::<f32>(8)))
            .contains("no network or optimizer other")
    );
    let mut other = Adam::book(0.5).unwrap();
    let reason = refused(checkpoint.restore_optimizer("adam", &mut other, &wider));
    assert!(reason.contains("adam.layers"), "{reason}");
    assert_eq!(Optimizer::<f32>::learning_rate(&other), 0.5);
    let mut momentum = Momentum::new(0.5, 0.9).unwrap();
    refused(checkpoint.restore_optimizer("adam", &mut momentum, &trained));
}

#[test]
fn names_are_taken_once_and_values_have_a_kind() {
    let mut checkpoint = Checkpoint::new();
    checkpoint.add_value("step", &3u64).unwrap();
    assert!(refused(checkpoint.add_value("step", &4u64)).contains("already"));
    assert!(refused(checkpoint.value::<Vec<String>>("step")).contains("step"));
    assert!(refused(checkpoint.value::<u64>("epoch")).contains("no value epoch"));
    checkpoint.add_array("a", &[2, 2], &[1.0f32; 4]).unwrap();
    assert!(refused(checkpoint.add_array("a", &[1], &[1.0f32])).contains("already"));
    assert!(refused(checkpoint.add_array("b", &[2, 2], &[1.0f32; 3])).contains("[2, 2]"));
    assert!(refused(checkpoint.array::<f64>("a")).contains("F32"));
    let state = BatchState {
        seed: u64::MAX,
        epoch: 3,
        position: 7,
    };
    checkpoint.add_batches("batches", state).unwrap();
    assert_eq!(checkpoint.batches("batches").unwrap(), state);
    assert!(refused(checkpoint.batches("step")).contains("step"));
}

#[test]
fn a_file_that_is_no_checkpoint_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    assert!(matches!(Checkpoint::load(&path), Err(Error::Read { .. })));
    assert!(matches!(
        Checkpoint::load(folder.path()),
        Err(Error::Read { .. })
    ));
    let mut checkpoint = Checkpoint::new();
    checkpoint.add_network("net", &network::<f32>(8)).unwrap();
    checkpoint.save(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    for damaged in [
        &whole[..0],
        &whole[..7],
        &whole[..100],
        &whole[..whole.len() - 1],
        b"PK\x03\x04 a zip",
    ] {
        fs::write(&path, damaged).unwrap();
        let reason = refused(Checkpoint::load(&path));
        assert!(reason.contains("a.safetensors"), "{reason}");
    }
    // A file of the same format, written by another program.
    let empty = std::collections::BTreeMap::<String, safetensors::tensor::TensorView<'_>>::new();
    fs::write(&path, safetensors::serialize(&empty, None).unwrap()).unwrap();
    assert!(refused(Checkpoint::load(&path)).contains("bn"));

    let nowhere = folder.path().join("no/such/a.safetensors");
    assert!(matches!(checkpoint.save(nowhere), Err(Error::Write { .. })));
    // A failed save leaves no new file and keeps the old one.
    fs::write(&path, b"old").unwrap();
    assert!(matches!(
        checkpoint.save(path.join("b")),
        Err(Error::Write { .. })
    ));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_bit_comes_back(values in prop::collection::vec(any::<f64>(), 0..50), damage in any::<prop::sample::Index>(), to in any::<u8>()) {
        let narrow: Vec<f32> = values.iter().map(|&v| v as f32).collect();
        let mut checkpoint = Checkpoint::new();
        checkpoint.add_array("wide", &[values.len()], &values).unwrap();
        checkpoint.add_array("narrow", &[1, narrow.len()], &narrow).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        checkpoint.save(&path).unwrap();
        let loaded = Checkpoint::load(&path).unwrap();
        let wide = loaded.array::<f64>("wide").unwrap();
        prop_assert!(wide.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()));
        let back = loaded.array::<f32>("narrow").unwrap();
        prop_assert_eq!(back.shape(), &[1, narrow.len()][..]);
        prop_assert!(back.iter().zip(&narrow).all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()));
        // Whatever byte is changed, loading returns a checkpoint or an error and does not panic.
        let mut bytes = fs::read(&path).unwrap();
        let at = damage.index(bytes.len());
        bytes[at] = to;
        fs::write(&path, bytes).unwrap();
        let _ = Checkpoint::load(&path);
    }
}
