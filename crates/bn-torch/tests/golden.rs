//! State_dicts of PyTorch with what it computes, made by `golden/make_golden.py`.

use crate::networks::channels_first;
use bn_layers::{BatchNormConfig, Conv2dConfig, LayerExt, Padding, Shape, images_to_channels_last};
use bn_net::{Loss, MeanSquaredError, Network, NetworkBuilder, Sgd, SoftmaxWithLoss};
use ndarray::{Array2, Array4, Axis};
use std::{collections::BTreeMap, path::PathBuf};

fn path(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", file]
        .iter()
        .collect()
}

fn state_dict(name: &str) -> Vec<u8> {
    std::fs::read(path(&format!("{name}.safetensors"))).unwrap()
}

fn golden(name: &str) -> BTreeMap<String, Vec<f64>> {
    let json = std::fs::read_to_string(path(&format!("{name}.json"))).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn mlp() -> Network {
    let bn = BatchNormConfig::pytorch();
    let b = Network::builder(20).affine(16).batch_norm_with(bn).relu();
    let b = b.affine(12).batch_norm_with(bn).relu().affine(5);
    b.build(1).unwrap()
}

fn cnn() -> Network {
    let bn = BatchNormConfig::pytorch();
    let padded = |filters| Conv2dConfig::new(filters, 3).padding(Padding::all(1));
    let b = Network::builder((8, 8, 2));
    let b = b.conv2d(padded(6)).batch_norm_with(bn).relu().max_pool2d(2);
    let b = b.conv2d(padded(8).stride(2).without_bias());
    let b = b.batch_norm_with(bn).relu();
    b.flatten().affine(5).build(1).unwrap()
}

fn resnet() -> Network {
    let bn = BatchNormConfig::pytorch();
    let conv = |filters| {
        let config = Conv2dConfig::new(filters, 3).padding(Padding::all(1));
        config.without_bias()
    };
    let body = move |filters, stride| {
        move |b: NetworkBuilder| {
            let b = b.conv2d(conv(filters).stride(stride));
            let b = b.batch_norm_with(bn).relu();
            b.conv2d(conv(filters)).batch_norm_with(bn)
        }
    };
    let shortcut = move |b: NetworkBuilder| {
        let b = b.conv2d(Conv2dConfig::new(12, 1).stride(2).without_bias());
        b.batch_norm_with(bn)
    };
    let b = Network::builder((8, 8, 3)).conv2d(conv(8));
    let b = b.batch_norm_with(bn).relu().residual(body(8, 1)).relu();
    let b = b.residual_with(body(12, 2), shortcut).relu();
    b.global_avg_pool2d().affine(5).build(1).unwrap()
}

fn dcgan() -> Network {
    let bn = BatchNormConfig::pytorch();
    let up = |filters| {
        let config = Conv2dConfig::new(filters, 4).stride(2);
        config.padding(Padding::all(1))
    };
    let b = Network::builder(10).affine(72).batch_norm_with(bn).relu();
    let b = b.reshape((2, 3, 12)).conv_transpose2d(up(8).without_bias());
    let b = b.batch_norm_with(bn).relu().conv_transpose2d(up(2)).tanh();
    b.build(1).unwrap()
}

/// Rows of this shape from `(N, D)` or `(N, C, H, W)`.
fn rows(shape: Shape, values: &[f64]) -> Array2<f32> {
    let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
    let size = shape.size();
    let n = values.len() / size;
    match shape {
        Shape::Flat(d) => Array2::from_shape_vec((n, d), values).unwrap(),
        Shape::Image {
            height,
            width,
            channels,
        } => {
            let images = Array4::from_shape_vec((n, channels, height, width), values).unwrap();
            let images = images_to_channels_last(images.view());
            images.into_shape_with_order((n, size)).unwrap()
        }
    }
}

fn logits_agree(name: &str, network: &Network) {
    let golden = golden(name);
    let x = rows(network.input(), &golden["x"]);
    let y = network.predict(x.view()).unwrap();
    let y = channels_first(y.view(), network.output());
    assert_eq!(y.len(), golden["logits"].len(), "{name}");
    for (y, &expected) in y.iter().zip(&golden["logits"]) {
        let difference = (f64::from(*y) - expected).abs();
        assert!(difference <= 1e-5, "{name}: {y} instead of {expected}");
    }
}

/// The logits, and the bytes of the state_dict written again.
fn agrees(name: &str, mut network: Network) {
    let bytes = state_dict(name);
    bn_torch::from_bytes(&bytes, &mut network).unwrap();
    logits_agree(name, &network);
    let again = bn_torch::to_bytes(&network).unwrap();
    assert!(again == bytes, "{name}: other bytes");
}

#[test]
fn mlp_with_batch_norm() {
    agrees("mlp", mlp());
}

#[test]
fn cnn_with_batch_norm() {
    agrees("cnn", cnn());
}

#[test]
fn residual_network() {
    agrees("resnet", resnet());
}

#[test]
fn dcgan_generator() {
    agrees("dcgan", dcgan());
}

#[test]
fn values_of_16_and_64_bits() {
    for name in ["mlp_f16", "mlp_bf16", "mlp_f64"] {
        let mut network = mlp();
        bn_torch::load(path(&format!("{name}.safetensors")), &mut network).unwrap();
        logits_agree(name, &network);
    }
    let mut doubled = mlp().to::<f64>().unwrap();
    bn_torch::from_bytes(&state_dict("mlp_f64"), &mut doubled).unwrap();
    assert!(bn_torch::to_bytes(&doubled).unwrap() == state_dict("mlp_f64"));
}

#[test]
fn other_names_are_renamed() {
    let modules = [
        ("conv1", "0"),
        ("bn1", "1"),
        ("fc", "9"),
        ("layer1.0.conv1", "3.body.0"),
        ("layer1.0.bn1", "3.body.1"),
        ("layer1.0.conv2", "3.body.3"),
        ("layer1.0.bn2", "3.body.4"),
        ("layer2.0.conv1", "5.body.0"),
        ("layer2.0.bn1", "5.body.1"),
        ("layer2.0.conv2", "5.body.3"),
        ("layer2.0.bn2", "5.body.4"),
        ("layer2.0.downsample.0", "5.shortcut.0"),
        ("layer2.0.downsample.1", "5.shortcut.1"),
    ];
    let modules = BTreeMap::from(modules);
    let rename = |name: &str| {
        let (module, tensor) = name.rsplit_once('.').unwrap();
        format!("{}.{tensor}", modules[module])
    };
    let mut network = resnet();
    let path = path("resnet_named.safetensors");
    assert!(bn_torch::load(&path, &mut network).is_err());
    bn_torch::load_renamed(&path, &mut network, rename).unwrap();
    logits_agree("resnet", &network);
}

/// 20 steps of SGD from the loaded network, on the batches of PyTorch.
fn training_agrees(name: &str, mut network: Network) {
    bn_torch::from_bytes(&state_dict(name), &mut network).unwrap();
    let golden = golden(name);
    let x = rows(network.input(), &golden["train_x"]);
    let (targets, learning_rate, mut loss): (_, _, Box<dyn Loss<f32>>) = match golden.get("labels")
    {
        Some(labels) => {
            let one_hot = |(n, class)| f32::from(labels[n] == class as f64);
            let targets = Array2::from_shape_fn((labels.len(), network.output().size()), one_hot);
            (targets, 0.05, Box::new(SoftmaxWithLoss::new()))
        }
        None => {
            let targets = rows(network.output(), &golden["images"]);
            (targets, 1.0, Box::new(MeanSquaredError::new()))
        }
    };
    let mut sgd = Sgd::new(learning_rate).unwrap();
    let losses = &golden["losses"];
    assert_eq!(losses.len(), 20);
    let size = x.nrows() / losses.len();
    let batches = x
        .axis_chunks_iter(Axis(0), size)
        .zip(targets.axis_chunks_iter(Axis(0), size));
    for ((x, t), &expected) in batches.zip(losses) {
        let got = network.train_step(x, t.into(), &mut *loss, &mut sgd);
        let got = got.unwrap();
        assert!((got - expected).abs() <= 1e-4, "{name}: {got}, {expected}");
    }
    let mut trained: Network = network.spec().unwrap().build().unwrap();
    let bytes = state_dict(&format!("{name}_trained"));
    bn_torch::from_bytes(&bytes, &mut trained).unwrap();
    let (mut expected, mut counts) = (BTreeMap::new(), BTreeMap::new());
    trained.visit(&mut |p| {
        expected.insert(p.name.to_owned(), p.value.to_vec());
    });
    trained.visit_counters(&mut |name, value| {
        counts.insert(name.to_owned(), value);
    });
    network.visit(&mut |p| {
        for (v, e) in p.value.iter().zip(&expected[p.name]) {
            assert!((v - e).abs() <= 1e-4, "{name}, {}: {v}, {e}", p.name);
        }
    });
    network.visit_counters(&mut |name, value| assert_eq!(value, counts[name], "{name}"));
    assert!(counts.values().all(|&count| count == 25)); // 5 batches before the file was written
}

#[test]
fn a_loaded_mlp_trains_as_in_pytorch() {
    training_agrees("mlp", mlp());
}

#[test]
fn a_loaded_cnn_trains_as_in_pytorch() {
    training_agrees("cnn", cnn());
}

#[test]
fn a_loaded_generator_trains_as_in_pytorch() {
    training_agrees("dcgan", dcgan());
}

#[test]
fn a_loaded_residual_network_trains_as_in_pytorch() {
    training_agrees("resnet", resnet());
}
