//! Models that PyTorch exported, with what it computes, made by `golden/make_onnx.py`; the same of Keras, by
//! `golden/make_keras.py`; and models with what onnxruntime computes, made by `golden/make_types.py`.

use crate::networks::channels_first;
use bn_layers::{LayerExt, Shape, images_to_channels_last};
use bn_net::{Network, Sgd, SoftmaxWithLoss};
use ndarray::Array2;
use std::{collections::BTreeMap, path::PathBuf};

fn path(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", file]
        .iter()
        .collect()
}

struct Golden {
    network: Network,
    values: BTreeMap<String, Vec<f64>>,
}

impl Golden {
    fn load(name: &str) -> Self {
        let json = std::fs::read_to_string(path(&format!("{name}.json"))).unwrap();
        Self {
            network: bn_onnx::load(path(&format!("{name}.onnx"))).unwrap(),
            values: serde_json::from_str(&json).unwrap(),
        }
    }

    /// Rows of the network's input from `(N, D)` or `(N, C, H, W)`.
    fn rows(&self, values: &str) -> Array2<f32> {
        let values: Vec<f32> = self.values[values].iter().map(|&v| v as f32).collect();
        let n = values.len() / self.network.input().size();
        match self.network.input() {
            Shape::Flat(d) => Array2::from_shape_vec((n, d), values).unwrap(),
            Shape::Image {
                height,
                width,
                channels,
            } => {
                let images =
                    ndarray::Array4::from_shape_vec((n, channels, height, width), values).unwrap();
                flat(images_to_channels_last(images.view()))
            }
        }
    }
}

impl Golden {
    /// Rows of the network's input from `(N, D)` or `(N, H, W, C)`, which they are already.
    fn keras_rows(&self) -> Array2<f32> {
        let x: Vec<f32> = self.values["x"].iter().map(|&v| v as f32).collect();
        Array2::from_shape_vec((4, x.len() / 4), x).unwrap()
    }
}

fn flat(images: ndarray::Array4<f32>) -> Array2<f32> {
    let (n, a, b, c) = images.dim();
    images.into_shape_with_order((n, a * b * c)).unwrap()
}

fn logits_agree(name: &str) {
    let golden = Golden::load(name);
    let x = match name.starts_with("keras") {
        true => golden.keras_rows(),
        false => golden.rows("x"),
    };
    let y = golden.network.predict(x.view()).unwrap();
    let y = channels_first(y.view(), golden.network.output());
    let expected = &golden.values["logits"];
    assert_eq!(y.len(), expected.len(), "{name}");
    for (y, &expected) in y.iter().zip(expected) {
        assert!(
            (f64::from(*y) - expected).abs() <= 1e-5,
            "{name}: {y} instead of {expected}"
        );
    }
}

#[test]
fn mlp_with_batch_norm() {
    logits_agree("mlp");
}

#[test]
fn cnn_with_batch_norm() {
    logits_agree("cnn");
}

#[test]
fn residual_network() {
    logits_agree("resnet");
}

#[test]
fn dcgan_generator() {
    logits_agree("dcgan");
}

#[test]
fn generator_of_a_row() {
    logits_agree("row_generator");
}

#[test]
fn activations_and_normalizations() {
    logits_agree("activations");
}

#[test]
fn arrays_of_16_and_64_bits() {
    logits_agree("numbers");
}

#[test]
fn opset_9() {
    logits_agree("old");
}

#[test]
fn mlp_of_keras() {
    logits_agree("keras_mlp");
}

#[test]
fn cnn_of_keras() {
    logits_agree("keras_cnn");
}

#[test]
fn global_pool_of_keras() {
    logits_agree("keras_pooled");
}

#[test]
fn the_layers_are_those_of_the_library() {
    let names = |name: &str| {
        let network = Golden::load(name).network;
        network
            .layer_names()
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        names("mlp"),
        "affine batch_norm relu affine batch_norm relu affine"
    );
    assert_eq!(
        names("cnn"),
        "conv2d batch_norm relu max_pool2d conv2d batch_norm relu reshape affine"
    );
    assert_eq!(
        names("resnet"),
        "conv2d batch_norm relu residual relu residual relu avg_pool2d affine"
    );
    assert_eq!(
        names("keras_mlp"),
        "affine batch_norm relu affine batch_norm tanh affine"
    );
    assert_eq!(
        names("keras_cnn"),
        "conv2d batch_norm relu max_pool2d conv2d batch_norm sigmoid reshape affine"
    );
    assert!(
        names("activations")
            .starts_with("conv2d gelu conv2d silu conv2d prelu conv2d relu6 conv2d elu")
    );
}

/// 20 steps of SGD from the imported network, on the batches of PyTorch.
fn training_agrees(name: &str) {
    let golden = Golden::load(name);
    let (x, labels) = (golden.rows("train_x"), &golden.values["labels"]);
    let labels: Vec<usize> = labels.iter().map(|&label| label as usize).collect();
    let (mut network, mut loss, mut sgd) = (
        golden.network,
        SoftmaxWithLoss::new(),
        Sgd::new(0.05).unwrap(),
    );
    let losses = &golden.values["losses"];
    assert_eq!(losses.len(), 20);
    let rows = labels.len() / losses.len();
    let batches = x
        .axis_chunks_iter(ndarray::Axis(0), rows)
        .zip(labels.chunks(rows));
    for ((x, labels), &expected) in batches.zip(losses) {
        let got = network
            .train_step(x, labels.into(), &mut loss, &mut sgd)
            .unwrap();
        assert!(
            (got - expected).abs() <= 1e-4,
            "{name}: {got} instead of {expected}"
        );
    }
    let mut expected = Vec::new();
    let trained = bn_onnx::load(path(&format!("{name}_trained.onnx"))).unwrap();
    trained.visit(&mut |p| expected.push((p.name.to_owned(), p.value.to_vec())));
    let mut expected = expected.into_iter();
    network.visit(&mut |p| {
        let (of, expected) = expected.next().unwrap();
        assert_eq!((p.name, p.value.len()), (&*of, expected.len()));
        for (v, e) in p.value.iter().zip(expected) {
            assert!((v - e).abs() <= 1e-4, "{name}, {of}: {v} instead of {e}");
        }
    });
}

#[test]
fn an_imported_mlp_trains_as_in_pytorch() {
    training_agrees("mlp");
}

#[test]
fn an_imported_cnn_trains_as_in_pytorch() {
    training_agrees("cnn");
}
