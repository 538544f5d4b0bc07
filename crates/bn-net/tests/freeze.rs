//! Frozen parameters and layers, layers by index and name, and networks of another type.

use bn_data::{Dataset, Digits};
use bn_layers::{Layer, LayerExt, Mode, State};
use bn_net::{
    AdamW, Checkpoint, Error, Network, NetworkBuilder, ParamGroup, ParamGroups, Sgd,
    SoftmaxWithLoss,
};
use bn_tensor::Scalar;
use ndarray::{Array2, Axis, Slice};

fn network() -> Network {
    let builder = Network::builder(4).affine(8).batch_norm().relu();
    let builder = builder
        .residual(|body| body.affine(8).batch_norm().relu().affine(8))
        .dropout(0.2);
    builder.affine(3).named("head").build(1).unwrap()
}

fn batch() -> (Array2<f32>, [usize; 6]) {
    let x = Array2::from_shape_fn((6, 4), |(n, d)| ((n * 4 + d) as f32).sin());
    (x, [0, 1, 2, 0, 1, 2])
}

fn step(network: &mut Network, optimizer: &mut AdamW<f32>) {
    let (x, t) = batch();
    let loss = &mut SoftmaxWithLoss::new();
    network
        .train_step(x.view(), (&t[..]).into(), loss, optimizer)
        .unwrap();
}

/// The bits of the arrays whose names begin with one of these.
fn bits(network: &Network, prefixes: &[&str]) -> Vec<(String, Vec<u32>)> {
    let mut all = Vec::new();
    network.visit(&mut |p| {
        if prefixes.iter().any(|prefix| p.name.starts_with(prefix)) {
            let bits = p.value.iter().map(|v| v.to_bits()).collect();
            all.push((p.name.to_owned(), bits));
        }
    });
    all
}

#[test]
fn frozen_layers_keep_parameters_and_statistics_also_inside_a_block() {
    let mut network = network();
    let mut adam_w = AdamW::new(0.01, 0.1).unwrap();
    step(&mut network, &mut adam_w);
    network.freeze_layers(..4).unwrap(); // the block and what is before it
    let frozen = ["layers.0", "layers.1", "layers.3"];
    let (before, head) = (bits(&network, &frozen), bits(&network, &["layers.5"]));
    assert!(
        before
            .iter()
            .any(|(name, _)| name == "layers.3.body.layers.1.running_mean")
    );
    for _ in 0..3 {
        step(&mut network, &mut adam_w);
    }
    assert_eq!(bits(&network, &frozen), before);
    assert_ne!(bits(&network, &["layers.5"]), head);

    network.unfreeze_layers(..).unwrap();
    step(&mut network, &mut adam_w);
    for (before, after) in before.iter().zip(bits(&network, &frozen)) {
        assert_ne!(*before, after);
    }
}

#[test]
fn a_frozen_batch_normalization_computes_as_in_evaluation() {
    let mut network = Network::builder(4)
        .affine(8)
        .batch_norm()
        .relu()
        .build(1)
        .unwrap();
    let (x, _) = batch();
    network
        .forward(x.mapv(f32::cos).view(), Mode::Train)
        .unwrap(); // other statistics
    let expected = network.predict(x.view()).unwrap();
    let of_batch = network.forward(x.view(), Mode::Train).unwrap().to_owned();
    let expected_after = network.predict(x.view()).unwrap();
    assert!((&of_batch - &expected).iter().any(|d| d.abs() > 1e-3));
    network.freeze_layers(1..2).unwrap();
    for mode in [Mode::Train, Mode::BatchStats, Mode::Eval] {
        let y = network.forward(x.view(), mode).unwrap();
        assert_eq!(y, expected_after, "{mode:?}");
    }
    // One row is enough: no statistics are computed.
    let row = x.slice_axis(Axis(0), Slice::from(..1));
    assert!(network.forward(row, Mode::Train).is_ok());
}

#[test]
fn the_gradients_of_a_network_with_frozen_layers_are_those_of_its_evaluation() {
    let builder = NetworkBuilder::<f64>::new(4).affine(8).batch_norm().relu();
    let mut network = builder.affine(3).build(1).unwrap();
    let (x, _) = batch();
    let x = x.mapv(f64::from);
    network.forward(x.view(), Mode::Train).unwrap();
    network.freeze_layers(1..2).unwrap();
    let weights = Array2::from_shape_fn((6, 3), |(n, k)| ((n * 3 + k) as f64).cos());
    network.forward(x.view(), Mode::Train).unwrap();
    let dx = network.backward(x.view(), weights.view()).unwrap();
    let loss = |x: &Array2<f64>| (network.predict(x.view()).unwrap() * &weights).sum();
    for place in [(0, 0), (2, 3), (5, 1)] {
        let moved = |by: f64| {
            let mut x = x.clone();
            x[place] += by;
            loss(&x)
        };
        let numerical = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assert!(
            (dx[place] - numerical).abs() < 1e-8,
            "{} {numerical}",
            dx[place]
        );
    }
}

#[test]
fn frozen_weights_have_no_penalty_and_patterns_must_match() {
    let builder = Network::builder(4)
        .weight_decay(0.5)
        .affine(8)
        .relu()
        .affine(3);
    let mut network = builder.build(1).unwrap();
    let all = network.penalty();
    assert_eq!(network.freeze("layers.0.*").unwrap(), 2);
    let of_last = network.penalty();
    assert!(0.0 < of_last && of_last < all);
    assert_eq!(network.freeze("*").unwrap(), 4);
    assert_eq!((network.penalty(), network.param_count()), (0.0, 0));
    assert_eq!(network.summary().trained(), 0);
    assert_eq!(network.unfreeze("*.weight").unwrap(), 2);
    assert_eq!(network.param_count(), 4 * 8 + 8 * 3);

    for pattern in ["", "layer.0.*", "layers.1.*", "layers.0"] {
        let error = network.freeze(pattern).unwrap_err();
        assert!(matches!(error, Error::NoParameter { .. }), "{error}");
    }
    for end in [4, usize::MAX] {
        let error = network.freeze_layers(..end).unwrap_err();
        assert!(matches!(error, Error::NoLayer { count: 3, .. }), "{error}");
        assert!(network.freeze_layers(..=end).is_err());
    }
    network.freeze_layers(2..2).unwrap(); // nothing
    assert_eq!(network.param_count(), 4 * 8 + 8 * 3);
}

#[test]
fn the_summary_says_what_is_trained_also_inside_a_block() {
    let mut network = network();
    network.freeze("layers.3.body.layers.0.*").unwrap();
    let summary = network.summary();
    let trained = |place: &str| {
        let row = summary
            .layers
            .iter()
            .find(|row| row.place == place)
            .unwrap();
        (row.params, row.trained)
    };
    assert_eq!(trained("3.body.0"), (8 * 8 + 8, 0));
    assert_eq!(trained("3.body.1"), (16, 16));
    assert_eq!(trained("3"), (2 * 72 + 16, 72 + 16));
    assert_eq!(summary.trained(), network.param_count());
}

#[test]
fn a_gradient_that_is_not_finite_matters_only_where_it_is_trained() {
    let (x, t) = batch();
    let mut network = network();
    network.freeze("layers.0.weight").unwrap();
    let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1).unwrap());
    let mut spoil = |network: &mut Network, name: &str| {
        network.train_step_with(x.view(), (&t[..]).into(), &mut loss, &mut sgd, |network| {
            network.visit_mut(&mut |p| {
                if p.name == name {
                    p.grad[0] = f32::NAN;
                }
            });
            Ok(())
        })
    };
    spoil(&mut network, "layers.0.weight").unwrap();
    let error = spoil(&mut network, "layers.0.bias").unwrap_err();
    assert!(error.to_string().contains("layers.0.bias"), "{error}");
}

#[test]
fn the_optimizer_of_a_network_that_was_frozen_later_is_restored() {
    let (mut network, mut adam_w) = (network(), AdamW::new(0.01, 0.1).unwrap());
    step(&mut network, &mut adam_w);
    network.freeze_layers(..4).unwrap();
    step(&mut network, &mut adam_w);
    let mut checkpoint = Checkpoint::new();
    checkpoint.add_network("network", &network).unwrap();
    checkpoint.add_optimizer("adam", &adam_w).unwrap();

    let (mut resumed, mut of_resumed) = (self::network(), AdamW::new(0.01, 0.1).unwrap());
    resumed.freeze_layers(..4).unwrap();
    checkpoint.restore_network("network", &mut resumed).unwrap();
    checkpoint
        .restore_optimizer("adam", &mut of_resumed, &resumed)
        .unwrap();
    for network in [(&mut network, &mut adam_w), (&mut resumed, &mut of_resumed)] {
        network.0.unfreeze("*").unwrap();
        step(network.0, network.1);
    }
    assert_eq!(bits(&network, &["layers"]), bits(&resumed, &["layers"]));
}

#[test]
fn groups_scale_the_learning_rate_and_refuse_bad_settings() {
    let (mut network, mut plain) = (network(), network());
    let group = ParamGroup::default().learning_rate(0.0);
    let mut groups = ParamGroups::new(Sgd::new(0.1).unwrap())
        .group("layers.0.*", group)
        .unwrap();
    let (x, t) = batch();
    let mut sgd = Sgd::new(0.1).unwrap();
    let before = bits(&network, &["layers.0"]);
    let train = |network: &mut Network, optimizer: &mut dyn bn_net::Optimizer<f32>| {
        let loss = &mut SoftmaxWithLoss::new();
        network
            .train_step(x.view(), (&t[..]).into(), loss, optimizer)
            .unwrap();
    };
    train(&mut network, &mut groups);
    train(&mut plain, &mut sgd);
    assert_eq!(bits(&network, &["layers.0"]), before);
    let others = ["layers.1", "layers.3", "layers.5"];
    assert_eq!(bits(&network, &others), bits(&plain, &others));

    let sgd = || ParamGroups::new(Sgd::<f32>::new(0.1).unwrap());
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        assert!(
            sgd()
                .group("*", ParamGroup::default().learning_rate(bad))
                .is_err()
        );
        assert!(
            sgd()
                .group("*", ParamGroup::default().weight_decay(bad))
                .is_err()
        );
    }
    // A factor that makes the learning rate overflow is an error of the step, which changes nothing.
    let huge = ParamGroup::default().learning_rate(1e300);
    let mut huge = sgd().group("layers.5.*", huge).unwrap();
    let before = bits(&network, &["layers"]);
    let loss = &mut SoftmaxWithLoss::new();
    let (x, t) = batch();
    assert!(
        network
            .train_step(x.view(), (&t[..]).into(), loss, &mut huge)
            .is_err()
    );
    assert_eq!(bits(&network, &["layers"]), before);
    // An optimizer without weight decay.
    let ada_grad = ParamGroups::new(bn_net::AdaGrad::<f32>::book(0.1).unwrap());
    assert!(
        ada_grad
            .clone()
            .group("*", ParamGroup::default().weight_decay(0.1))
            .is_err()
    );
    assert!(
        ada_grad
            .group("*", ParamGroup::default().weight_decay(0.0))
            .is_ok()
    );
}

#[test]
fn layers_are_found_by_index_and_name() {
    let network = network();
    let affine = network.layer(0).unwrap();
    assert_eq!(affine.describe().unwrap().layer, "Affine");
    assert!(
        network.layer(2).is_none(),
        "the rectifier is computed by the layer before it"
    );
    assert!(network.layer(usize::MAX).is_none() && network.layer_by_name("tail").is_none());
    let head = network.layer_by_name("head").unwrap();
    assert_eq!(head.output_shape(8.into()).unwrap(), 3.into());
    assert!(network.to_string().contains("5 head"), "{network}");
    let again: Network = network.spec().unwrap().build().unwrap();
    assert!(again.layer_by_name("head").is_some());
}

/// All arrays as f64, and all counters.
fn state<T: Scalar>(network: &Network<T>) -> (Vec<f64>, Vec<u64>) {
    let (mut arrays, mut counters) = (Vec::new(), Vec::new());
    network.state(&mut |part| match part {
        State::Array(p) => arrays.extend(p.value.iter().map(|v| v.as_f64())),
        State::Counter(_, value) => counters.push(value),
    });
    (arrays, counters)
}

#[test]
fn a_network_of_another_type_has_the_same_values_and_counters() {
    let mut network = network();
    step(&mut network, &mut AdamW::new(0.01, 0.1).unwrap());
    let wide = network.to::<f64>().unwrap();
    assert_eq!(state(&wide), state(&network));
    assert_eq!(state(&wide.to::<f32>().unwrap()), state(&network));
    let (x, _) = batch();
    let difference = wide.predict(x.mapv(f64::from).view()).unwrap()
        - network.predict(x.view()).unwrap().mapv(f64::from);
    assert!(difference.iter().all(|d| d.abs() < 1e-5));
}

/// Digits 0 to 4 first; then, with the first layers frozen, digits 5 to 9 on a new head.
#[test]
fn what_was_learned_on_some_digits_helps_with_others() {
    let (train, test) = Digits::load().unwrap().into_parts();
    let part = |data: &Dataset, from: usize| {
        let rows: Vec<usize> = (0..data.len())
            .filter(|&i| (from..from + 5).contains(&data.labels()[i]))
            .collect();
        let labels = rows.iter().map(|&i| data.labels()[i] - from).collect();
        let images = data.images().select(Axis(0), &rows);
        Dataset::new(images, labels, (8, 8, 1), 5).unwrap()
    };
    let builder = Network::builder(64)
        .affine(64)
        .batch_norm()
        .relu()
        .affine(5);
    let mut network = builder.build(1).unwrap();
    let fit = |network: &mut Network, from| {
        let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1).unwrap());
        let trainer = bn_net::Trainer::new(50).epochs(10).progress(false);
        let (train, test) = (part(&train, from), part(&test, from));
        let history = trainer
            .fit(network, &mut loss, &mut sgd, &train, Some(&test))
            .unwrap();
        history.last().unwrap().test_accuracy().unwrap()
    };
    assert!(fit(&mut network, 0) > 0.9);
    network.freeze_layers(..3).unwrap();
    let before = bits(&network, &["layers.0", "layers.1"]);
    assert!(fit(&mut network, 5) > 0.85);
    assert_eq!(bits(&network, &["layers.0", "layers.1"]), before);
}
