//! Networks from the builder and from descriptions, valid and invalid.

use bn_layers::{
    BatchNormConfig, BatchNormalization, Conv2dConfig, Layer, LayerExt, Layout, Mode,
    RunningAverage,
};
use bn_net::{Error, IdentityWithLoss, Network, NetworkBuilder, NetworkSpec, Sgd, SoftmaxWithLoss};
use ndarray::{Array2, Axis};

fn batch(rows: usize, columns: usize) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |(n, d)| {
        ((n * columns + d) as f64 * 0.7).sin() + 0.3
    })
}

#[test]
fn a_batch_normalization_that_does_not_fit_is_refused() {
    let bn = |channels| BatchNormalization::<f32>::new(channels, BatchNormConfig::book());
    let wide = Network::builder(50).layer("bn", bn(25).unwrap()).build(1);
    assert!(matches!(wide, Err(Error::Layer { index: 0, .. })));
    let first = bn(3).unwrap().with_layout(Layout::ChannelsFirst);
    let last = Network::builder((4, 4, 3)).layer("bn", first).build(1);
    let message = last.unwrap_err().to_string();
    assert!(message.contains("have channels last"), "{message}");
    assert!(bn(0).is_err());
    let per_position = bn(48).unwrap().with_layout(Layout::PerPosition);
    let network = Network::builder((4, 4, 3)).layer("bn", per_position);
    assert!(network.build(1).is_ok());
    let per_channel = Network::builder((4, 4, 3)).layer("bn", bn(3).unwrap());
    assert!(per_channel.build(1).is_ok());
}

fn three_layers(config: Option<BatchNormConfig>) -> Network<f64> {
    let mut builder = NetworkBuilder::<f64>::new(6);
    for _ in 0..3 {
        builder = builder.affine(20);
        builder = match config {
            Some(config) => builder.batch_norm_with(config),
            None => builder.batch_norm(),
        };
        builder = builder.relu();
    }
    builder.affine(2).build(1).unwrap()
}

fn largest(y: &Array2<f64>) -> f64 {
    y.iter().fold(0.0, |largest, y| largest.max(y.abs()))
}

#[test]
fn an_untrained_network_predicts_values_of_a_normal_size() {
    let x = batch(30, 6);
    // With the book's preset, they are a thousand times too large for each layer.
    let book = three_layers(Some(BatchNormConfig::book()));
    assert!(largest(&book.predict(x.view()).unwrap()) > 1e8);
    let network = three_layers(None);
    assert!(largest(&network.predict(x.view()).unwrap()) < 100.0);
}

#[test]
fn after_one_batch_evaluation_normalises_by_that_batch() {
    let x = batch(30, 6);
    let mut network = three_layers(None);
    let trained = network.forward(x.view(), Mode::Train).unwrap().to_owned();
    let evaluated = network.predict(x.view()).unwrap();
    assert!(largest(&(&evaluated - &trained)) < 1e-12);
}

#[test]
fn the_default_is_the_books_average_divided_by_the_sum_of_its_weights() {
    let x = batch(30, 6);
    let of = |config: BatchNormConfig, steps: usize| {
        let mut network = NetworkBuilder::<f64>::new(6)
            .batch_norm_with(config)
            .build(1)
            .unwrap();
        for k in 0..steps {
            let x = &x * (1.0 + k as f64);
            network.forward(x.view(), Mode::Train).unwrap();
        }
        let mut running = Vec::new();
        network.visit(&mut |p| {
            if !p.is_trained {
                running.extend(p.value.to_vec());
            }
        });
        running
    };
    let config = BatchNormConfig::default();
    assert_eq!(config.running, RunningAverage::KeepCorrected(0.9));
    for steps in [1, 2, 5, 50] {
        let weights = 1.0 - 0.9f64.powi(steps as i32);
        let book = of(BatchNormConfig::book(), steps);
        for (got, book) in of(config, steps).iter().zip(book) {
            assert!((got - book / weights).abs() < 1e-13 * (1.0 + got.abs()));
        }
    }
}

/// The gradient of the penalty, and the penalty itself, for every layer with weights.
#[test]
fn weight_decay_applies_to_convolutions_and_custom_layers() {
    let lambda = 0.3;
    let network = |lambda: f64| {
        let own = bn_layers::Affine::new(batch(4, 4), ndarray::Array1::ones(4)).unwrap();
        NetworkBuilder::<f64>::new((5, 5, 1))
            .weight_decay(lambda)
            .conv2d(Conv2dConfig::new(2, 3))
            .batch_norm()
            .conv_transpose2d(Conv2dConfig::new(1, 2))
            .affine(4)
            .layer("own", own)
            .build(1)
            .unwrap()
    };
    let (mut with, mut without) = (network(lambda), network(0.0));
    let (x, t) = (batch(6, 25), Array2::ones((6, 4)));
    let mut loss = IdentityWithLoss::default();
    let mut gradients = |network: &mut Network<f64>| {
        let value = network
            .gradient(x.view(), t.view().into(), &mut loss)
            .unwrap();
        let mut all = Vec::new();
        network.visit(&mut |p| all.push((p.name.to_owned(), p.value.to_vec(), p.grad.to_vec())));
        (value, all)
    };
    let ((value, got), (plain, bare)) = (gradients(&mut with), gradients(&mut without));
    let mut penalty = 0.0;
    let mut decayed = Vec::new();
    for ((name, values, grad), (_, _, bare)) in got.iter().zip(&bare) {
        let is_weight = name.ends_with("weight");
        if is_weight {
            decayed.push(name.as_str());
            penalty += 0.5 * lambda * values.iter().map(|w| w * w).sum::<f64>();
        }
        let share = if is_weight { lambda } else { 0.0 };
        for ((got, bare), w) in grad.iter().zip(bare).zip(values) {
            assert!((got - (bare + share * w)).abs() < 1e-13, "{name}");
        }
    }
    let weights = [
        "layers.0.weight",
        "layers.2.weight",
        "layers.3.weight",
        "layers.4.weight",
    ];
    assert_eq!(decayed, weights);
    assert!((value - plain - penalty).abs() < 1e-12);
    assert!((with.penalty() - penalty).abs() < 1e-12);
    let error = NetworkBuilder::<f64>::new(2)
        .weight_decay(-1.0)
        .affine(1)
        .build(1);
    assert!(error.is_err());
}

/// Without an explicit type, networks and optimizers use `f32`.
#[test]
fn the_element_type_is_f32_by_default() {
    let network = Network::builder(784).affine(10).build(1).unwrap();
    assert_eq!(network.param_count(), 7850);
    let mut network = Network::builder(2).affine(3).batch_norm().build(1).unwrap();
    let mut sgd = Sgd::new(0.1).unwrap().with_momentum(0.9).unwrap();
    let (x, t) = (Array2::ones((2, 2)), [0, 1]);
    let mut loss = SoftmaxWithLoss::new();
    network
        .train_step(x.view(), (&t[..]).into(), &mut loss, &mut sgd)
        .unwrap();
}

#[test]
fn a_network_is_rebuilt_from_its_description() {
    let inner = NetworkBuilder::<f64>::new(12)
        .affine_without_bias(6)
        .batch_norm_with(BatchNormConfig::keras())
        .leaky_relu(0.3)
        .build(1)
        .unwrap();
    let mut network = NetworkBuilder::<f64>::new((6, 6, 2))
        .weight_decay(0.1)
        .conv2d(Conv2dConfig::new(3, 3).stride(2).same().without_bias())
        .batch_norm()
        .relu()
        .dropout(0.25)
        .flatten()
        .weight_decay(0.0)
        .affine(12)
        .layer("inner", inner)
        .dropout_book(0.5)
        .affine(2)
        .build(7)
        .unwrap();
    let x = batch(9, 72);
    network.forward(x.view(), Mode::Train).unwrap();
    let json = serde_json::to_string(&network.spec().unwrap()).unwrap();
    let spec: NetworkSpec = serde_json::from_str(&json).unwrap();
    let mut again: Network<f64> = spec.build().unwrap();
    assert_eq!(again.spec().unwrap(), network.spec().unwrap());
    let mut checkpoint = bn_net::Checkpoint::new();
    checkpoint.add_network("n", &network).unwrap();
    checkpoint.restore_network("n", &mut again).unwrap();
    assert_eq!(again.penalty(), network.penalty());
    for mode in [Mode::Eval, Mode::Train] {
        let got = again.forward(x.view(), mode).unwrap().to_owned();
        assert_eq!(got, network.forward(x.view(), mode).unwrap(), "{mode:?}");
    }
    // So is a folded network, in which BatchNormalization has become part of the convolution.
    network.fold(x.view()).unwrap();
    let mut again: Network<f64> = network.spec().unwrap().build().unwrap();
    let mut checkpoint = bn_net::Checkpoint::new();
    checkpoint.add_network("n", &network).unwrap();
    checkpoint.restore_network("n", &mut again).unwrap();
    assert_eq!(
        again.predict(x.view()).unwrap(),
        network.predict(x.view()).unwrap()
    );
    assert!(again.layer_names().eq(network.layer_names()));
}

#[test]
fn an_invalid_description_is_refused() {
    let spec = |layers: &str| {
        let json = format!(r#"{{"input": {{"Flat": 4}}, "layers": [{layers}]}}"#);
        serde_json::from_str::<NetworkSpec>(&json).unwrap()
    };
    let layer = |kind: &str, settings: &str, decay: &str| {
        format!(
            r#"{{"name": "a", "weight_decay": {decay}, "layer": "{kind}", "settings": {settings}}}"#
        )
    };
    for (layers, word) in [
        (String::new(), "at least one layer"),
        (layer("Attention", "null", "0.0"), "no such layer"),
        (layer("Affine", "7", "0.0"), "Affine"),
        (layer("Relu", "null", "-1.0"), "weight decay"),
        (
            layer(
                "Affine",
                r#"{"inputs": 5, "outputs": 2, "bias": true}"#,
                "0.0",
            ),
            "expected shape [5], got [4]",
        ),
        (
            layer("Dropout", r#"{"ratio": 1.5, "is_book": false}"#, "0.0"),
            "ratio",
        ),
    ] {
        let error = spec(&layers).build::<f32>().unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    // A custom layer without a description.
    #[derive(Debug, Clone)]
    struct Own;
    impl bn_layers::Activation for Own {
        fn value<T: bn_layers::Scalar>(&self, x: T) -> T {
            x
        }
        fn derivative<T: bn_layers::Scalar>(&self, _: T, _: T) -> T {
            T::one()
        }
    }
    let network = Network::builder(2)
        .affine(2)
        .layer("own", Own)
        .build(1)
        .unwrap();
    assert!(matches!(
        network.spec(),
        Err(Error::NoSpec { index: 1, .. })
    ));
    assert!(network.describe().is_none());
}

#[test]
fn a_copy_is_independent() {
    let mut network = three_layers(None);
    let x = batch(10, 6);
    let copy = network.clone();
    let before = copy.predict(x.view()).unwrap();
    assert_eq!(network.predict(x.view()).unwrap(), before);
    network.forward(x.view(), Mode::Train).unwrap();
    network.visit_mut(&mut |p| p.value.iter_mut().for_each(|v| *v += 1.0));
    assert_eq!(copy.predict(x.view()).unwrap(), before);
    assert_eq!(copy.activation(0).map(|y| y.len_of(Axis(0))), Some(0));
}
