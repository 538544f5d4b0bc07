//! BinaryCrossEntropy against PyTorch, against central differences, and with invalid input.

use crate::common::{assert_close, matrix, number, numbers, parse};
use bn_net::{BinaryCrossEntropy, Error, Loss, Network, NetworkBuilder, Sgd};
use bn_tensor::Scalar;
use ndarray::{Array2, array};
use serde_json::Value;

fn golden<T: Scalar>(section: &Value, tolerance: f64) {
    for (name, mut loss) in [
        ("logits", BinaryCrossEntropy::on_logits()),
        ("probabilities", BinaryCrossEntropy::on_probabilities()),
    ] {
        let cases = section[name].as_array().unwrap();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let name = format!("{name} {}", case["name"]);
            let x: Array2<T> = matrix(&case["x"]).mapv(T::from_f64);
            let t: Array2<T> = matrix(&case["t"]).mapv(T::from_f64);
            let t = t.view().into();
            let value = loss.forward(x.view(), t).unwrap();
            assert_close(&name, [&value], [&number(&case["loss"])], tolerance);
            let mut dx = Array2::from_elem(x.dim(), T::nan());
            loss.backward_into(x.view(), t, dx.view_mut()).unwrap();
            let dx: Vec<f64> = dx.iter().map(|v| v.as_f64()).collect();
            assert_close(&name, &dx, &numbers(&case["dx"]), tolerance);
        }
    }
}

#[test]
fn it_agrees_with_pytorch() {
    let file = parse(include_str!("golden/binary_cross_entropy.json"));
    golden::<f64>(&file["f64"], 1e-12);
    golden::<f32>(&file["f32"], 1e-6);
}

#[test]
fn the_gradient_agrees_with_central_differences_and_smoothing_with_keras() {
    for (mut loss, x) in [
        (
            BinaryCrossEntropy::on_logits(),
            array![[0.3, -2.0], [4.0, 0.0]],
        ),
        (
            BinaryCrossEntropy::on_probabilities(),
            array![[0.3, 0.9], [0.5, 0.01]],
        ),
    ] {
        let t = array![[0.0, 1.0], [0.25, 1.0]];
        let smoothed = t.mapv(|t: f64| 0.8 * t + 0.1);
        let plain = loss.forward(x.view(), smoothed.view().into()).unwrap();
        loss = loss.with_label_smoothing(0.2).unwrap();
        assert!((loss.forward(x.view(), t.view().into()).unwrap() - plain).abs() < 1e-15);
        let mut dx = Array2::zeros(x.dim());
        loss.backward_into(x.view(), t.view().into(), dx.view_mut())
            .unwrap();
        for place in [[0, 0], [0, 1], [1, 0], [1, 1]] {
            let mut at = |step: f64| {
                let mut x = x.clone();
                x[place] += step;
                loss.forward(x.view(), t.view().into()).unwrap()
            };
            let numerical: f64 = (at(1e-6) - at(-1e-6)) / 2e-6;
            assert!((numerical - dx[place]).abs() < 1e-7 * numerical.abs().max(1.0));
        }
    }
}

#[test]
fn labels_are_targets_of_one_output() {
    let mut loss = BinaryCrossEntropy::on_logits();
    let x = array![[1.5f32], [-0.5]];
    let dense = array![[1.0f32], [0.0]];
    let want = loss.forward(x.view(), dense.view().into()).unwrap();
    assert_eq!(loss.forward(x.view(), (&[1, 0][..]).into()).unwrap(), want);
}

#[test]
fn invalid_input_is_refused() {
    let mut loss = BinaryCrossEntropy::on_probabilities();
    let x = array![[0.5f64], [0.25]];
    let error = loss.forward(x.view(), (&[1, 2][..]).into()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::LabelOutOfRange {
                row: 1,
                label: 2,
                ..
            }
        ),
        "{error}"
    );
    let error = loss.forward(x.view(), (&[1][..]).into()).unwrap_err();
    assert!(matches!(error, Error::Targets { .. }), "{error}");
    let wide = array![[0.5, 0.5]];
    loss.forward(wide.view(), (&[1][..]).into()).unwrap_err();
    let t = array![[0.5], [1.5]];
    let error = loss
        .forward(x.view(), t.view().into())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("a target must be between 0 and 1, got 1.5"),
        "{error}"
    );
    let x = array![[0.5], [-0.1]];
    let error = loss
        .forward(x.view(), (&[1, 0][..]).into())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("a probability must be between 0 and 1, got -0.1"),
        "{error}"
    );
    assert!(
        BinaryCrossEntropy::on_logits()
            .with_label_smoothing(1.5)
            .is_err()
    );
    // A gradient without a loss before it.
    let x = array![[0.5], [0.1]];
    let mut dx = Array2::zeros((2, 1));
    let fresh = BinaryCrossEntropy::on_logits();
    fresh
        .backward_into(x.view(), (&[1, 0][..]).into(), dx.view_mut())
        .unwrap_err();
}

#[test]
fn a_nan_stays_nan_and_a_step_refuses_it() {
    for mut loss in [
        BinaryCrossEntropy::on_logits(),
        BinaryCrossEntropy::on_probabilities(),
    ] {
        let x = array![[f64::NAN], [0.5]];
        assert!(
            loss.forward(x.view(), (&[1, 0][..]).into())
                .unwrap()
                .is_nan()
        );
        let mut network = NetworkBuilder::<f64>::new(1)
            .affine(1)
            .sigmoid()
            .build(1)
            .unwrap();
        let mut sgd = Sgd::new(0.1).unwrap();
        let step = network.train_step(x.view(), (&[1, 0][..]).into(), &mut loss, &mut sgd);
        assert!(matches!(step, Err(Error::NonFinite { .. })));
    }
}

#[test]
fn a_network_learns_to_separate_two_classes() {
    let x = Array2::from_shape_fn((64, 2), |(n, d)| ((n * 2 + d) as f32 * 0.7).sin());
    let labels: Vec<usize> = x
        .rows()
        .into_iter()
        .map(|x| usize::from(x[0] > x[1]))
        .collect();
    let mut network = Network::builder(2)
        .affine(16)
        .relu()
        .affine(1)
        .build(1)
        .unwrap();
    let (mut loss, mut sgd) = (BinaryCrossEntropy::on_logits(), Sgd::new(0.5).unwrap());
    for _ in 0..200 {
        network
            .train_step(x.view(), (&labels).into(), &mut loss, &mut sgd)
            .unwrap();
    }
    let logits = network.predict(x.view()).unwrap();
    let right = logits
        .iter()
        .zip(&labels)
        .filter(|&(&z, &t)| (z > 0.0) == (t == 1))
        .count();
    assert!(right >= 60, "{right} of 64");
}
