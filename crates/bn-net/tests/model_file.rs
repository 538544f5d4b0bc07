//! A network in a file: whoever loads it needs to know nothing. Damaged and hostile files are refused.

use crate::common::{
    checkpoints::{of_network, refused, with_record},
    failing_layer::Fails,
};
use bn_data::Preprocessing;
use bn_layers::{BatchNormConfig, Conv2dConfig, Interpolation, LayerExt};
use bn_net::{Adam, Checkpoint, Error, Model, Network, NetworkBuilder, Sgd, SoftmaxWithLoss};
use ndarray::Array2;
use serde_json::{Value, json};
use std::{fs, sync::Arc};
use tempfile::TempDir;

fn batch(width: usize) -> (Array2<f32>, Vec<usize>) {
    let x = Array2::from_shape_fn((6, width), |(n, d)| ((n * width + d) as f32 * 0.7).sin());
    (x, (0..6).map(|n| n % 3).collect())
}

fn step(network: &mut Network) -> f64 {
    let (x, labels) = batch(network.input().size());
    let (loss, sgd) = (&mut SoftmaxWithLoss::new(), &mut Sgd::new(0.01).unwrap());
    network
        .train_step(x.view(), (&labels).into(), loss, sgd)
        .unwrap()
}

/// Save, load and save give the same bytes; the loaded network computes and trains with the same bits.
fn check(mut network: Network) {
    let folder = TempDir::new().unwrap();
    let [first, second] = ["a", "b"].map(|name| folder.path().join(name));
    step(&mut network); // so that running statistics and counters are not those of a new network
    network.save(&first).unwrap();
    let mut again = Network::<f32>::load(&first).unwrap();
    again.save(&second).unwrap();
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap());
    assert!(again.layer_names().eq(network.layer_names()));

    let (x, _) = batch(network.input().size());
    let of_both = [&network, &again].map(|network| network.predict(x.view()).unwrap());
    assert_eq!(of_both[0], of_both[1]);
    for _ in 0..3 {
        assert_eq!(step(&mut network), step(&mut again));
    }
    assert!(of_network(&network) == of_network(&again));
}

#[test]
fn a_file_has_all_of_a_network() {
    let three = || Conv2dConfig::new(4, 3).same();
    check(
        Network::builder((8, 8, 2))
            .weight_decay(0.01)
            .conv2d(three().groups(2).dilation(2).without_bias())
            .batch_norm()
            .relu()
            .max_pool2d(2)
            .conv_transpose2d(Conv2dConfig::new(3, 3).stride(2).same())
            .named("up")
            .instance_norm()
            .prelu()
            .resize2d((5, 7), Interpolation::Bilinear)
            .zero_pad2d((1, 0), (0, 1))
            .reflect_pad2d((0, 1), (1, 0))
            .avg_pool2d(2)
            .upsample2d(2)
            .group_norm(3)
            .silu()
            .flatten()
            .dropout(0.3)
            .affine(6)
            .layer_norm()
            .gelu()
            .affine(3)
            .build(1)
            .unwrap(),
    );
    check(
        Network::builder(5)
            .affine_without_bias(8)
            .batch_norm_with(BatchNormConfig::book())
            .sigmoid()
            .dropout_book(0.2)
            .affine(8)
            .batch_norm_with(BatchNormConfig {
                affine: false,
                track_running_stats: false,
                ..BatchNormConfig::keras()
            })
            .tanh()
            .elu(0.7)
            .leaky_relu(0.1)
            .relu6()
            .reshape((2, 2, 2))
            .affine(3)
            .log_softmax()
            .build(2)
            .unwrap(),
    );
    let inside = Network::builder((4, 4, 4)).conv2d(three()).dropout(0.5);
    check(
        Network::builder((4, 4, 1))
            .conv2d(three())
            .residual(move |b| b.conv2d(three()).batch_norm())
            .relu()
            .residual_with(
                move |b| b.conv2d(three()).dropout(0.1),
                move |b| b.conv2d(three()),
            )
            .layer("inside", inside.build(3).unwrap())
            .concat(|all| all.branch(|b| b.softmax()).branch(|b| b.max_pool2d(1)))
            .affine(3)
            .build(1)
            .unwrap(),
    );
}

#[test]
fn a_file_has_the_preprocessing_and_the_classes() {
    let folder = TempDir::new().unwrap();
    let [first, second] = ["a", "b"].map(|name| folder.path().join(name));
    let network = Network::builder(4).affine(3).build(1).unwrap();
    let mut model = Model::from(network);
    model.preprocessing =
        Preprocessing::new(1.0 / 255.0, &[0.1307, 0.1], &[0.3081, 1.0 / 3.0]).unwrap();
    model.classes = ["零", "one \"1\"", ""].map(str::to_owned).to_vec();
    model.save(&first).unwrap();
    let again = Model::<f32>::load(&first).unwrap();
    assert_eq!(again.preprocessing, model.preprocessing);
    assert_eq!(again.classes, model.classes);
    again.save(&second).unwrap();
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap());

    model.classes.pop();
    let reason = refused(model.save(&second));
    assert!(
        reason.contains("2 names of classes for 3 outputs"),
        "{reason}"
    );
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap()); // as before
}

#[test]
fn a_file_of_version_0_is_read() {
    let bytes = include_bytes!("golden/checkpoint_version_0.safetensors");
    let checkpoint = Checkpoint::from_bytes(bytes).unwrap();
    assert_eq!(checkpoint.value::<u64>("step").unwrap(), 3);
    let mut network = NetworkBuilder::<f32>::new((4, 4, 1))
        .conv2d(bn_layers::Conv2dConfig::new(3, 3).same())
        .relu()
        .dropout(0.3)
        .affine(4)
        .batch_norm()
        .relu()
        .dropout(0.2)
        .affine(3)
        .build(7)
        .unwrap();
    let mut adam = Adam::book(0.01).unwrap();
    checkpoint.restore_network("network", &mut network).unwrap();
    checkpoint
        .restore_optimizer("adam", &mut adam, &network)
        .unwrap();
    let x = Array2::from_shape_fn((12, 16), |(n, d)| ((n * 16 + d) as f64 * 0.37).sin() as f32);
    let labels: Vec<usize> = (0..12).map(|n| n % 3).collect();
    for _ in 0..2 {
        let loss = &mut SoftmaxWithLoss::new();
        network
            .train_step(x.view(), (&labels).into(), loss, &mut adam)
            .unwrap();
    }
    // What the version that wrote the file had after the same two steps.
    let expected = [0.38524586, 0.36342877, -0.8758694, 0.20382601];
    network.visit(&mut |p| {
        if p.name == "layers.0.weight" {
            for (value, expected) in p.value.iter().zip(expected) {
                assert!((value - expected).abs() < 1e-6, "{value} {expected}");
            }
        }
    });
    let reason = refused(checkpoint.network::<f32>("network"));
    assert!(reason.contains("use restore_network"), "{reason}");
}

#[test]
fn a_file_of_a_later_version_is_refused() {
    let bytes = of_network(&Network::builder(2).affine(2).build(1).unwrap()).to_bytes();
    let bytes = bytes.unwrap();
    let at = bytes.windows(4).position(|w| w == b"bn.1").unwrap();
    let mut newer = bytes.clone();
    newer[at + 3] = b'2';
    let reason = refused(Checkpoint::from_bytes(&newer));
    assert!(reason.contains("update this library"), "{reason}");
    newer[at + 2] = b'x';
    let reason = refused(Checkpoint::from_bytes(&newer));
    assert!(reason.contains("lack the key"), "{reason}");
}

#[test]
fn the_network_of_a_run_is_read_from_its_checkpoint() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("run");
    let network = Network::builder(4).affine(2).build(1).unwrap();
    let mut checkpoint = Checkpoint::new();
    for name in ["generator", "discriminator"] {
        checkpoint.add_network(name, &network).unwrap();
    }
    checkpoint.save(&path).unwrap();
    let reason = refused(Network::<f32>::load(&path));
    assert!(reason.contains("discriminator, generator"), "{reason}");
    assert!(checkpoint.network::<f32>("generator").is_ok());
    checkpoint.add_network("network", &network).unwrap();
    checkpoint.save(&path).unwrap();
    assert!(Network::<f32>::load(&path).is_ok());
    let reason = refused(Network::<f64>::load(&path));
    assert!(reason.contains("F64"), "{reason}");
    let reason = refused(Model::<f32>::from_checkpoint(&Checkpoint::new()));
    assert!(reason.contains("no network"), "{reason}");
}

#[test]
fn a_layer_without_a_description_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("network");
    let builder = Network::builder(4)
        .affine(3)
        .layer("outside", Fails::new(&Arc::default()));
    let network = builder.build(1).unwrap();
    let error = network.save(&path).unwrap_err();
    assert!(matches!(error, Error::NoSpec { index: 1, .. }), "{error}");
    assert!(!path.exists());
    // A checkpoint holds it, for a program that builds the network itself.
    let checkpoint = of_network(&network);
    let reason = refused(checkpoint.network::<f32>("net"));
    assert!(reason.contains("without a description"), "{reason}");
}

/// Descriptions that promise more than the file holds, or layers that do not exist, cost neither memory nor a panic.
#[test]
fn hostile_descriptions_are_refused() {
    let network = Network::builder(4).affine(3).batch_norm().build(1).unwrap();
    let whole = of_network(&network);
    let large = json!({"inputs": 1u64 << 31, "outputs": 1u64 << 31, "bias": false});
    let mut deep = json!({"input": {"Flat": 4}, "layers": []});
    for _ in 0..15 {
        let inner = json!({"name": "n", "weight_decay": 0.0, "layer": "Network", "settings": deep});
        deep = json!({"input": {"Flat": 4}, "layers": [inner]});
    }
    let many: Vec<_> = (0..2000)
        .map(|_| {
            let mut layer =
                json!({"name": "n", "weight_decay": 0.0, "layer": "BatchNormalization"});
            layer["settings"] = serde_json::to_value(network.spec().unwrap()).unwrap()["layers"][1]
                ["settings"]
                .clone();
            layer["settings"]["channels"] = json!(1 << 19);
            layer["settings"]["config"]["affine"] = json!(false);
            layer["settings"]["config"]["track_running_stats"] = json!(false);
            layer
        })
        .collect();
    type Change<'a> = (&'a str, &'a str, Value, &'a str);
    let changes: [Change<'_>; 8] = [
        ("layers/0/settings", "", large, "needs"),
        ("layers/0", "layer", json!("Attention"), "no such layer"),
        ("layers/0/settings", "inputs", json!(-1), "invalid value"),
        ("layers/0/settings", "inputs", json!(5), "expected shape"),
        ("layers/1/settings", "channels", json!(1u64 << 40), "needs"),
        ("layers/1", "weight_decay", json!(-1.0), "weight decay"),
        ("", "layers", json!(many), "needs"),
        ("", "", deep, "cannot be built"),
    ];
    for (place, key, value, expected) in changes {
        let damaged = with_record(&whole, "net", |record| {
            let place = match place {
                "" => "/network/spec".to_owned(),
                place => format!("/network/spec/{place}"),
            };
            let to = record.pointer_mut(&place).unwrap();
            match key {
                "" => *to = value.clone(),
                key => to[key] = value.clone(),
            }
        });
        let reason = refused(damaged.network::<f32>("net"));
        assert!(reason.contains(expected), "{place} {key}: {reason}");
    }
}

#[test]
fn no_truncated_or_changed_file_is_taken_for_a_network_without_an_error_or_panics() {
    let network = Network::builder(3).affine(2).batch_norm().build(1).unwrap();
    let bytes = of_network(&network).to_bytes().unwrap();
    for len in 0..bytes.len() {
        refused(Checkpoint::from_bytes(&bytes[..len]));
    }
    for at in 0..bytes.len() {
        for bit in [1, 0x20, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= bit;
            // Values may have changed, but it does not panic.
            let read = Checkpoint::from_bytes(&changed).and_then(|c| c.network::<f32>("net"));
            if let Ok(network) = read {
                assert_eq!(network.input().size(), 3);
            }
        }
    }
}
