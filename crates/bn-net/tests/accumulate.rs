//! Gradients of several micro-batches, and clipped gradients.

use bn_layers::{Layer, LayerExt, State};
use bn_net::{
    Accumulator, Clip, Error, IdentityWithLoss, Network, Optimizer, Reduction, Sgd,
    SoftmaxWithLoss, gradient_norm,
};
use ndarray::{Array2, Axis, Slice};

fn network() -> Network {
    let builder = Network::builder(4)
        .affine(8)
        .batch_norm()
        .relu()
        .dropout(0.3);
    builder.affine(3).build(1).unwrap()
}

fn batch(rows: usize) -> (Array2<f32>, Vec<usize>) {
    let x = Array2::from_shape_fn((rows, 4), |(n, d)| ((n * 4 + d) as f32).sin());
    (x, (0..rows).map(|n| n % 3).collect())
}

/// All bits of the network's state.
fn bits(network: &Network) -> Vec<u64> {
    let mut bits = Vec::new();
    network.state(&mut |part| match part {
        State::Array(p) => bits.extend(p.value.iter().map(|v| u64::from(v.to_bits()))),
        State::Counter(_, value) => bits.push(value),
    });
    bits
}

/// The mean and the sum of the examples' losses, both with weight decay.
#[test]
fn micro_batches_without_statistics_make_the_gradient_of_the_whole_batch() {
    for reduction in [Reduction::Mean, Reduction::Sum] {
        let plain = || {
            let builder = Network::builder(4).weight_decay(0.1).affine(8).relu();
            builder.affine(3).build(1).unwrap()
        };
        let (x, t) = batch(12);
        let (mut whole, mut parts) = (plain(), plain());
        let mut loss = SoftmaxWithLoss::new().with_reduction(reduction);
        let mut sgd = Sgd::new(0.1).unwrap();
        let expected = whole
            .train_step(x.view(), (&t).into(), &mut loss, &mut sgd)
            .unwrap();
        let (mut accumulator, mut sgd) = (Accumulator::default(), Sgd::new(0.1).unwrap());
        for (start, end) in [(0, 1), (1, 8), (8, 12)] {
            let x = x.slice_axis(Axis(0), Slice::from(start..end));
            accumulator
                .add(&mut parts, x, (&t[start..end]).into(), &mut loss)
                .unwrap();
        }
        assert_eq!(accumulator.micro_batches(), 3);
        let value = accumulator.step(&mut parts, &mut sgd, |_| Ok(())).unwrap();
        assert!((value - expected).abs() < 1e-5, "{value} {expected}");
        let mut of_parts = Vec::new();
        parts.visit(&mut |p| of_parts.extend_from_slice(p.value));
        let mut of_parts = of_parts.iter();
        whole.visit(&mut |p| {
            for (a, b) in p.value.iter().zip(&mut of_parts) {
                assert!((a - b).abs() < 1e-6, "{}: {a} {b}", p.name);
            }
        });
    }
}

#[test]
fn a_step_of_micro_batches_that_fails_leaves_no_trace() {
    let (x, t) = batch(8); // a power of two, by which sums are divided exactly
    let (mut network, mut loss) = (network(), SoftmaxWithLoss::new());
    let mut sgd = Sgd::new(0.1).unwrap();
    network
        .train_step(x.view(), (&t).into(), &mut loss, &mut sgd)
        .unwrap();
    let before = bits(&network);
    let mut accumulator = Accumulator::default();
    let nan = Array2::from_elem((8, 4), f32::NAN);
    // In a later micro-batch.
    accumulator
        .add(&mut network, x.view(), (&t).into(), &mut loss)
        .unwrap();
    assert_ne!(bits(&network), before, "the running statistics have moved");
    accumulator
        .add(&mut network, nan.view(), (&t).into(), &mut loss)
        .unwrap_err();
    assert_eq!(
        (bits(&network), accumulator.micro_batches()),
        (before.clone(), 0)
    );
    // Before the update, in the update, and by the user.
    accumulator
        .add(&mut network, x.view(), (&t).into(), &mut loss)
        .unwrap();
    let fails = |_: &mut Network| Err(Error::EmptyNetwork { what: "a step" });
    assert!(accumulator.step(&mut network, &mut sgd, fails).is_err());
    assert_eq!(bits(&network), before);
    accumulator
        .add(&mut network, x.view(), (&t).into(), &mut loss)
        .unwrap();
    let mut huge = Sgd::new(3e38).unwrap();
    let overflows = |network: &mut Network| {
        network.visit_mut(&mut |p| p.grad.fill(100.0));
        Ok(())
    };
    assert!(
        accumulator
            .step(&mut network, &mut huge, overflows)
            .is_err()
    );
    assert_eq!(bits(&network), before);
    accumulator
        .add(&mut network, x.view(), (&t).into(), &mut loss)
        .unwrap();
    accumulator.cancel(&mut network);
    assert_eq!(bits(&network), before);
    let error = accumulator
        .step(&mut network, &mut sgd, |_| Ok(()))
        .unwrap_err();
    assert!(matches!(error, Error::Accumulator), "{error}");

    // The next step is the one that would have been.
    let mut other = network.clone();
    let mut of_other = sgd.clone();
    accumulator
        .add(&mut network, x.view(), (&t).into(), &mut loss)
        .unwrap();
    accumulator
        .step(&mut network, &mut sgd, |_| Ok(()))
        .unwrap();
    other
        .train_step(x.view(), (&t).into(), &mut loss, &mut of_other)
        .unwrap();
    assert_eq!(bits(&network), bits(&other));
}

#[test]
fn gradients_of_two_networks_are_not_added() {
    let (x, t) = batch(8);
    let (mut first, mut loss) = (network(), SoftmaxWithLoss::new());
    let builder = Network::builder(4).affine(50).relu().affine(3);
    let mut wider = builder.build(1).unwrap();
    let mut accumulator = Accumulator::default();
    accumulator
        .add(&mut first, x.view(), (&t).into(), &mut loss)
        .unwrap();
    let mut sgd = Sgd::new(0.1).unwrap();
    for other in [&mut wider, &mut first.clone()] {
        let before = bits(other);
        let error = accumulator
            .add(other, x.view(), (&t).into(), &mut loss)
            .unwrap_err();
        assert!(matches!(error, Error::OtherNetwork), "{error}");
        accumulator.step(other, &mut sgd, |_| Ok(())).unwrap_err();
        accumulator.cancel(other);
        assert_eq!(bits(other), before);
    }
    accumulator.step(&mut first, &mut sgd, |_| Ok(())).unwrap();
}

fn gradients(network: &Network) -> Vec<f32> {
    let mut all = Vec::new();
    network.visit(&mut |p| {
        if p.is_trained {
            all.extend_from_slice(p.grad);
        }
    });
    all
}

/// A network whose gradients are all `value`.
fn with_gradients(value: f32) -> Network {
    let mut network = Network::builder(30)
        .affine(30)
        .relu()
        .affine(2)
        .build(1)
        .unwrap();
    network.visit_mut(&mut |p| p.grad.fill(value));
    network
}

#[test]
fn norms_are_exact_where_squares_of_f32_overflow() {
    for value in [1e19f32, 1e38, 1e-30, 1.0] {
        let mut network = with_gradients(value);
        let count = gradients(&network).len() as f64;
        let expected = f64::from(value) * count.sqrt();
        let norm = gradient_norm(&network);
        assert!((norm / expected - 1.0).abs() < 1e-12, "{norm} {expected}");
        let before = Clip::Norm(expected / 4.0).apply(&mut network).unwrap();
        assert_eq!(before, norm);
        let all = gradients(&network);
        assert!(all.iter().all(|g| (g / (value / 4.0) - 1.0).abs() < 1e-6));
        // Below the limit nothing changes.
        Clip::Norm(expected).apply(&mut network).unwrap();
        assert_eq!(gradients(&network), all);
    }
}

#[test]
fn values_are_clipped_one_by_one_and_bad_limits_and_gradients_are_refused() {
    let mut network = with_gradients(3.0);
    network.visit_mut(&mut |p| p.grad[0] = -5.0);
    network.freeze("layers.0.*").unwrap();
    Clip::Value(4.0).apply(&mut network).unwrap();
    network.visit(&mut |p| {
        let first = if p.is_trained { -4.0 } else { -5.0 };
        assert_eq!((p.grad[0], p.grad[1]), (first, 3.0));
    });
    for limit in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        for clip in [Clip::Norm(limit), Clip::Value(limit)] {
            assert!(clip.apply(&mut network).is_err());
        }
    }
    network.visit_mut(&mut |p| p.grad[1] = f32::INFINITY);
    for clip in [Clip::Norm(1.0), Clip::Value(1.0)] {
        let error = clip.apply(&mut network).unwrap_err();
        assert!(matches!(error, Error::NonFinite { .. }), "{error}");
    }
}

#[test]
fn clipped_training_survives_an_outlier() {
    let mut network = Network::builder(1)
        .affine(16)
        .relu()
        .affine(1)
        .build(1)
        .unwrap();
    let x = Array2::from_shape_fn((32, 1), |(n, _)| n as f32 / 32.0);
    let mut t = x.mapv(|x| 2.0 * x);
    t[[3, 0]] = 1e6;
    let (mut loss, mut sgd) = (IdentityWithLoss::default(), Sgd::new(0.1).unwrap());
    let mut largest_step = 0.0f32;
    for _ in 0..20 {
        let mut before = Vec::new();
        network.visit(&mut |p| before.extend_from_slice(p.value));
        network
            .train_step_with(x.view(), t.view().into(), &mut loss, &mut sgd, |network| {
                Clip::Norm(1.0).apply(network).map(|_| ())
            })
            .unwrap();
        let mut squares = 0.0;
        let mut before = before.iter();
        network.visit(&mut |p| {
            squares += p
                .value
                .iter()
                .zip(&mut before)
                .map(|(a, b)| (a - b).powi(2))
                .sum::<f32>();
        });
        largest_step = largest_step.max(squares.sqrt());
    }
    assert!(largest_step < 0.1001, "{largest_step}");
    assert_eq!(Optimizer::<f32>::learning_rate(&sgd), 0.1);
}
