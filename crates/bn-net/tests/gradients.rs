//! Gradients of whole networks against central differences.

use bn_layers::{BatchNormConfig, Error, GradientCheck, LayerExt, Report};
use bn_net::{IdentityWithLoss, Loss, Network, NetworkBuilder, SoftmaxWithLoss, Targets};
use ndarray::Array2;

fn batch(n: usize, d: usize) -> Array2<f64> {
    Array2::from_shape_fn((n, d), |(i, j)| ((i * d + j) as f64 * 1.7).sin() * 2.0)
}

/// Checks the gradient of the loss itself, not of a sum of outputs.
fn check(
    network: &mut Network<f64>,
    loss: &mut dyn Loss<f64>,
    x: &Array2<f64>,
    t: Targets<'_, f64>,
) -> Report {
    let refused = |e: bn_net::Error| Error::Nested {
        reason: e.to_string(),
    };
    GradientCheck::default()
        .check_objective(network, x.view(), &mut |y, dout| {
            let value = loss.forward(y, t).map_err(refused)?;
            loss.backward_into(y, t, dout).map_err(refused)?;
            Ok(value)
        })
        .unwrap()
}

#[test]
fn the_books_network_with_everything_on() {
    let mut network = NetworkBuilder::<f64>::new(7)
        .affine(6)
        .batch_norm()
        .relu()
        .dropout(0.3)
        .affine_without_bias(5)
        .batch_norm_with(BatchNormConfig::keras())
        .sigmoid()
        .dropout_book(0.2)
        .affine(5)
        .tanh()
        .affine(4)
        .leaky_relu(0.1)
        .affine(3)
        .build(11)
        .unwrap();
    let running = |n: &Network<f64>| {
        let mut bits = Vec::new();
        n.visit(&mut |p| bits.extend(p.value.iter().map(|v| v.to_bits())));
        bits
    };
    let before = running(&network);
    let labels: Vec<usize> = (0..9).map(|n| n % 3).collect();
    let mut loss = SoftmaxWithLoss::new()
        .with_label_smoothing(0.1)
        .and_then(|l| l.with_class_weights(vec![1.0, 2.0, 0.5]))
        .unwrap();
    let report = check(&mut network, &mut loss, &batch(9, 7), (&labels).into());
    assert_eq!(report.params.len(), 2 + 2 + 1 + 2 + 2 + 2 + 2 + 1);
    assert!(report.worst().relative < 1e-6, "{report}");
    assert_eq!(running(&network), before);
}

#[test]
fn a_regression() {
    let mut network = NetworkBuilder::<f64>::new(3)
        .affine(8)
        .batch_norm()
        .tanh()
        .affine(2)
        .identity()
        .build(5)
        .unwrap();
    let t = batch(6, 2);
    let mut loss = IdentityWithLoss::default();
    let report = check(&mut network, &mut loss, &batch(6, 3), t.view().into());
    assert!(report.worst().relative < 1e-6, "{report}");
}

#[test]
fn a_network_inside_a_network() {
    let inner = NetworkBuilder::<f64>::new(4)
        .affine(5)
        .batch_norm()
        .relu()
        .build(1)
        .unwrap();
    let mut outer = NetworkBuilder::<f64>::new(3)
        .affine(4)
        .layer("inner", inner)
        .affine(2)
        .build(2)
        .unwrap();
    let labels = [0, 1, 0, 1, 0];
    let mut loss = SoftmaxWithLoss::new();
    let report = check(&mut outer, &mut loss, &batch(5, 3), (&labels[..]).into());
    assert!(report.worst().relative < 1e-6, "{report}");
    let names: Vec<&str> = report.params.iter().map(|p| p.name.as_str()).collect();
    assert!(names.contains(&"layers.1.layers.0.weight"), "{names:?}");
}

#[test]
fn weight_decay_is_in_the_loss_and_in_the_gradient() {
    let build = |lambda| {
        let builder = NetworkBuilder::<f64>::new(4).weight_decay(lambda);
        builder.affine(5).relu().affine(3).build(3).unwrap()
    };
    let (x, labels) = (batch(5, 4), [0, 1, 2, 0, 1]);
    let mut loss = SoftmaxWithLoss::new();
    let (mut plain, mut decayed) = (build(0.0), build(0.1));
    let value = plain
        .gradient(x.view(), (&labels[..]).into(), &mut loss)
        .unwrap();
    let with = decayed
        .gradient(x.view(), (&labels[..]).into(), &mut loss)
        .unwrap();
    let (mut squares, mut gradients) = (0.0, Vec::new());
    plain.visit(&mut |p| {
        let decay = if p.name.ends_with("weight") { 0.1 } else { 0.0 };
        squares += decay * p.value.iter().map(|v| v * v).sum::<f64>();
        gradients.extend(p.grad.iter().zip(p.value).map(|(g, v)| g + decay * v));
    });
    assert!((with - value - 0.5 * squares).abs() < 1e-12);
    let mut at = gradients.iter();
    decayed.visit(&mut |p| {
        for g in p.grad {
            assert!((g - at.next().unwrap()).abs() < 1e-14, "{}", p.name);
        }
    });
    let mut workspace = Default::default();
    let evaluated =
        decayed.evaluate_loss(x.view(), (&labels[..]).into(), &mut loss, &mut workspace);
    assert!((evaluated.unwrap() - with).abs() < 1e-12);
}
