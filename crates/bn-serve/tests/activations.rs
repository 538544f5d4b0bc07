//! The output of every layer.

use crate::common::{Server, digit, digits, one_image};
use bn_layers::{LayerExt, Mode};
use bn_net::Network;
use bn_serve::Options;
use ndarray::Array2;
use serde_json::{Value, json};

fn values(of: &Value) -> Vec<f64> {
    of.as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect()
}

/// Within the three digits of an answer.
#[track_caller]
fn assert_near(got: &[f64], expected: &[f32]) {
    assert_eq!(got.len(), expected.len());
    for (got, &expected) in got.iter().zip(expected) {
        let expected = f64::from(expected);
        assert!(
            (got - expected).abs() <= 0.006 * expected.abs() + 1e-6,
            "{got} {expected}"
        );
    }
}

/// That `got` is `a + b`, within the three digits of each.
#[track_caller]
fn assert_sum(got: &[f64], a: &[f64], b: &[f64]) {
    assert_eq!((got.len(), got.len()), (a.len(), b.len()));
    for ((got, a), b) in got.iter().zip(a).zip(b) {
        let tolerance = 0.0051 * (got.abs() + a.abs() + b.abs());
        assert!((got - (a + b)).abs() <= tolerance, "{got}: {a} + {b}");
    }
}

#[test]
fn the_last_layer_and_those_between_are_those_of_the_network() {
    let (server, mut model) = (Server::digits(Options::default()), digits());
    let answer = server.post("/v1/activations", &one_image(5)).json();
    let mut x = Array2::from_shape_vec((1, 64), digit(5).0).unwrap();
    model.preprocessing.apply(x.view_mut()).unwrap();
    model.network.forward(x.view(), Mode::Eval).unwrap();
    let layers = answer["layers"].as_array().unwrap();
    let names: Vec<&str> = layers.iter().map(|l| l["name"].as_str().unwrap()).collect();
    assert!(model.network.layer_names().eq(names));
    let mut compared = 0;
    for (i, layer) in layers.iter().enumerate() {
        // None for a Batch Normalization that computes the rectifier too.
        if let (Some(y), false) = (
            model.network.activation(i),
            layer["output"]["values"].is_null(),
        ) {
            assert_near(&values(&layer["output"]["values"]), y.as_slice().unwrap());
            compared += 1;
        }
    }
    assert!(compared >= 3);
    assert_eq!(layers[0]["output"]["maps"].as_array().unwrap().len(), 4);
    assert_eq!(layers[0]["output"]["shape"], json!([8, 8, 4]));
    assert_eq!(layers[1]["kind"], "BatchNormalization");
}

#[test]
fn batch_normalization_has_the_values_before_the_rectifier() {
    let mut network = Network::builder(3)
        .affine(4)
        .batch_norm()
        .relu()
        .affine(2)
        .build(3)
        .unwrap();
    let x = Array2::from_shape_fn((6, 3), |(n, d)| ((n * 3 + d) as f32).sin());
    network.forward(x.view(), Mode::Train).unwrap();
    let mut by_hand = x.slice_axis(ndarray::Axis(0), (0..1).into()).to_owned();
    let spec = network.spec().unwrap();
    let mut arrays = Vec::new();
    network.visit(&mut |p| arrays.push((p.name.to_owned(), p.value.to_vec())));
    let array = |name: &str| {
        arrays
            .iter()
            .find(|(n, _)| n.ends_with(name))
            .unwrap()
            .1
            .clone()
    };
    let weight = Array2::from_shape_vec((3, 4), array("layers.0.weight")).unwrap();
    by_hand = by_hand.dot(&weight) + &ndarray::Array1::from(array("layers.0.bias"));
    let before = by_hand.clone();
    let eps = spec.layers[1].spec.settings["eps"].as_f64().unwrap_or(1e-5) as f32;
    let server = Server::of(network);
    let row: Vec<f32> = x.row(0).to_vec();
    let answer = server
        .post(
            "/v1/activations",
            &json!({ "rows": [row], "prepared": true }).to_string(),
        )
        .json();
    let layers = &answer["layers"];
    assert_near(&values(&answer["input"]["values"]), &row);
    assert_near(
        &values(&layers[0]["output"]["values"]),
        before.as_slice().unwrap(),
    );
    let after = values(&layers[1]["output"]["values"]);
    // After the first step the bias-corrected averages are the statistics of the batch.
    let y = x.dot(&weight) + &ndarray::Array1::from(array("layers.0.bias"));
    let mean = y.mean_axis(ndarray::Axis(0)).unwrap();
    let var = y.var_axis(ndarray::Axis(0), 0.0);
    let expected: Vec<f32> = (0..4)
        .map(|i| (before[[0, i]] - mean[i]) / (var[i] + eps).sqrt())
        .collect();
    for (got, expected) in after.iter().zip(&expected) {
        // The running variance may be the unbiased one.
        let ratio = got / f64::from(*expected);
        assert!((0.85..1.02).contains(&ratio), "{got} {expected}");
    }
    assert!(after.iter().any(|&v| v < 0.0), "{after:?}");
    let rectified: Vec<f32> = after.iter().map(|&v| v.max(0.0) as f32).collect();
    assert_near(&values(&layers[2]["output"]["values"]), &rectified);
    assert!(
        layers[1]["output"]["histogram"]["counts"]
            .as_array()
            .unwrap()
            .len()
            == 32
    );
}

#[test]
fn layers_inside_blocks_are_shown_too() {
    let network = Network::builder(3)
        .affine(4)
        .residual_with(
            |body| body.affine(4).batch_norm().relu().affine(2),
            |shortcut| shortcut.residual(|body| body.affine(4)).affine(2),
        )
        .relu()
        .build(3)
        .unwrap();
    let server = Server::of(network);
    let answer = server
        .post("/v1/activations", r#"{"rows": [[1, 2, 3]]}"#)
        .json();
    let layers = &answer["layers"];
    let kinds = |layers: &Value| -> Vec<String> {
        let layers = layers.as_array().unwrap().iter();
        layers
            .map(|layer| layer["kind"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(kinds(layers), ["Affine", "Residual", "Relu"]);
    assert!(layers[0]["branches"].is_null());
    let [body, shortcut] = [0, 1].map(|i| &layers[1]["branches"][i]);
    assert_eq!(
        (&body["name"], &shortcut["name"]),
        (&json!("body"), &json!("shortcut"))
    );
    let expected = ["Affine", "BatchNormalization", "Relu", "Affine"];
    assert_eq!(kinds(&body["layers"]), expected);
    assert_eq!(kinds(&shortcut["layers"]), ["Residual", "Affine"]);
    let inner = &shortcut["layers"][0]["branches"][0]["layers"];
    assert_eq!(kinds(inner), ["Affine"]);
    // Each has the parameters and the input that it has in the network.
    let output = |layer: &Value| values(&layer["output"]["values"]);
    let [x, of_inner] = [&layers[0], &inner[0]].map(output);
    assert_sum(&output(&shortcut["layers"][0]), &x, &of_inner);
    let [of_body, of_shortcut] = [&body["layers"][3], &shortcut["layers"][1]].map(output);
    assert_sum(&output(&layers[1]), &of_body, &of_shortcut);
}

#[test]
fn large_maps_are_reduced_and_requests_of_several_images_refused() {
    let network = Network::builder((40, 20, 1)).relu().build(1).unwrap();
    let server = Server::of(network);
    let image: Vec<Vec<usize>> = (0..40)
        .map(|h| (0..20).map(|w| h * 20 + w).collect())
        .collect();
    let answer = server
        .post("/v1/activations", &json!({ "image": image }).to_string())
        .json();
    let map = &answer["layers"][0]["output"]["maps"][0];
    assert_eq!((&map["height"], &map["width"]), (&json!(14), &json!(7)));
    assert_eq!(map["values"][0], json!(21.0)); // the mean of rows and columns 0 to 2
    assert_eq!(map["values"][6], json!(38.5)); // of columns 18 and 19
    assert_eq!(answer["input"]["histogram"]["high"], json!(799.0));
    let two = json!({ "images": [image, image] }).to_string();
    assert_eq!(server.post("/v1/activations", &two).refusal().0, 413);
}
