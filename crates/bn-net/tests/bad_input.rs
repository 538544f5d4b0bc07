//! Invalid input to a network gives a clear error and changes nothing.

use bn_layers::{BatchNormConfig, LayerExt, LeakyRelu, Mode};
use bn_net::{
    Adam, Error, IdentityWithLoss, Momentum, Network, Optimizer, RmsProp, Schedule, Sgd,
    SoftmaxWithLoss, Targets,
};
use ndarray::{Array2, ArrayView2};

fn network() -> Network<f32> {
    Network::builder(4)
        .affine(6)
        .batch_norm()
        .relu()
        .dropout(0.5)
        .affine(3)
        .build(1)
        .unwrap()
}

fn batch() -> Array2<f32> {
    Array2::from_shape_fn((5, 4), |(n, d)| ((n * 4 + d) as f32).sin())
}

const LABELS: [usize; 5] = [0, 1, 2, 0, 1];

fn state(network: &Network<f32>) -> Vec<(String, Vec<u32>)> {
    let mut state = Vec::new();
    network.visit(&mut |p| {
        let bits = p.value.iter().map(|v| v.to_bits()).collect();
        state.push((p.name.to_owned(), bits));
    });
    state
}

/// Returns the error of a step on a trained network. The network must not change, and must train on as
/// if the step had not been taken.
fn refused(x: ArrayView2<'_, f32>, t: Targets<'_, f32>) -> Error {
    let (mut network, mut twin) = (network(), network());
    let (mut adam, mut twin_adam) = (Adam::book(0.01).unwrap(), Adam::book(0.01).unwrap());
    let (mut loss, mut twin_loss) = (SoftmaxWithLoss::new(), SoftmaxWithLoss::new());
    let good = batch();
    let labels = &LABELS[..];
    let step = network.train_step(good.view(), labels.into(), &mut loss, &mut adam);
    step.unwrap();
    let before = state(&network);
    let error = network.train_step(x, t, &mut loss, &mut adam).unwrap_err();
    assert_eq!(state(&network), before, "{error}");

    network
        .train_step(good.view(), labels.into(), &mut loss, &mut adam)
        .unwrap();
    for _ in 0..2 {
        twin.train_step(good.view(), labels.into(), &mut twin_loss, &mut twin_adam)
            .unwrap();
    }
    assert_eq!(
        state(&network),
        state(&twin),
        "dropout and Adam must continue as before"
    );
    error
}

#[test]
fn wrong_width_and_empty_batch() {
    let wide = Array2::zeros((5, 7));
    let error = refused(wide.view(), (&LABELS[..]).into());
    assert_eq!(
        error.to_string(),
        "Network: expected shape [5, 4], got [5, 7]"
    );

    let none = Array2::zeros((0, 4));
    let error = refused(none.view(), (&[][..]).into());
    assert!(error.to_string().contains("the batch is empty"), "{error}");
}

#[test]
fn one_row_in_training_is_refused_but_evaluates() {
    let one = batch().row(0).to_owned().insert_axis(ndarray::Axis(0));
    let error = refused(one.view(), (&[1][..]).into());
    let Error::Layer {
        index,
        name,
        source,
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!((*index, name.as_str()), (1, "batch_norm"));
    let one_value = matches!(source, bn_layers::Error::TooFewValues { got: 1, .. });
    assert!(one_value, "{source}");
    assert_eq!(network().predict(one.view()).unwrap().dim(), (1, 3));
}

#[test]
fn labels_and_targets() {
    let x = batch();
    let error = refused(x.view(), (&[0, 1, 3, 0, 1][..]).into());
    let message = "row 2: label 3 is out of range; it must be below 3, the number of classes";
    assert_eq!(error.to_string(), message);

    let error = refused(x.view(), (&[0, 1][..]).into());
    let message = "SoftmaxWithLoss: expected 5 labels, or values of shape [5, 3], got 2 labels";
    assert_eq!(error.to_string(), message);

    let one_hot = Array2::zeros((5, 4));
    let error = refused(x.view(), one_hot.view().into());
    assert!(
        error.to_string().contains("got values of shape [5, 4]"),
        "{error}"
    );

    let (mut net, mut sgd) = (network(), Sgd::new(0.1).unwrap());
    let mut loss = IdentityWithLoss::default();
    let error = net.train_step(x.view(), (&LABELS[..]).into(), &mut loss, &mut sgd);
    assert!(error.unwrap_err().to_string().contains("got 5 labels"));

    assert!(network().accuracy(x.view(), &[0, 1, 9, 0, 1]).is_err());
    assert!(network().accuracy(x.view(), &[0]).is_err());
    let none = Array2::zeros((0, 4));
    assert!(network().accuracy(none.view(), &[]).is_err());
}

#[test]
fn nan_and_infinity_stop_the_step_with_an_error_that_says_where() {
    for bad in [f32::NAN, f32::INFINITY] {
        let mut x = batch();
        x[[3, 1]] = bad;
        let error = refused(x.view(), (&LABELS[..]).into());
        assert_eq!(
            error.to_string(),
            "the input is not finite (NaN or infinity)"
        );
    }
    // Finite input, but a weight that overflows: the layer is named.
    let mut net = network();
    net.visit_mut(&mut |p| {
        if p.name == "layers.4.weight" {
            p.value.fill(f32::MAX);
        }
    });
    let before = state(&net);
    let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1).unwrap());
    let x = batch();
    let error = net.train_step(x.view(), (&LABELS[..]).into(), &mut loss, &mut sgd);
    let message = error.unwrap_err().to_string();
    assert!(
        message.starts_with("the output of layer 4 (affine) is not finite"),
        "{message}"
    );
    assert_eq!(state(&net), before);
    let error = net.forward(x.view(), Mode::Train).unwrap_err();
    assert!(matches!(error, Error::NonFinite { .. }));
    assert_eq!(state(&net), before);
}

#[test]
fn a_nan_in_evaluation_affects_only_its_row_and_counts_as_wrong() {
    let net = network();
    let mut x = batch();
    let clean = net.predict(x.view()).unwrap();
    x[[2, 0]] = f32::NAN;
    let y = net.predict(x.view()).unwrap();
    for n in 0..5 {
        assert_eq!(y.row(n).iter().all(|v| v.is_nan()), n == 2);
        assert!(n == 2 || y.row(n) == clean.row(n));
    }
    let labels: Vec<usize> = clean
        .rows()
        .into_iter()
        .map(|row| (0..3).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap())
        .collect();
    assert_eq!(net.accuracy(x.view(), &labels).unwrap(), 0.8);
    assert_eq!(
        net.confusion_matrix(x.view(), &labels)
            .unwrap()
            .counts()
            .sum(),
        4
    );
}

#[test]
fn the_builder_names_the_invalid_layer() {
    let cases: [(Result<Network<f32>, Error>, &str); 8] = [
        (
            Network::builder(0).affine(3).build(0),
            "a network needs at least one input",
        ),
        (
            Network::builder(3).build(0),
            "a network needs at least one layer",
        ),
        (
            Network::builder(3).affine(4).relu().affine(0).build(0),
            "layer 2 (affine): the number of outputs must be at least 1, got 0",
        ),
        (
            Network::builder(3).dropout(1.0).build(0),
            "layer 0 (dropout): the dropout ratio",
        ),
        (
            Network::builder(3).leaky_relu(-1.0).build(0),
            "layer 0 (leaky_relu): LeakyRelu's slope",
        ),
        (
            Network::builder(3)
                .init(bn_layers::Init::Std(f64::NAN))
                .affine(2)
                .build(0),
            "layer 0 (affine): weight_init_std must be a finite number",
        ),
        (
            Network::builder(3)
                .batch_norm_with(BatchNormConfig {
                    eps: 0.0,
                    ..BatchNormConfig::book()
                })
                .build(0),
            "layer 0 (batch_norm): eps must be a finite number above 0, got 0",
        ),
        (
            Network::builder(3)
                .affine(2)
                .layer(
                    "mine",
                    bn_layers::Affine::new(Array2::zeros((5, 2)), ndarray::Array1::zeros(2))
                        .unwrap(),
                )
                .build(0),
            "layer 1 (mine): Affine: expected shape [5], got [2]",
        ),
    ];
    for (result, message) in cases {
        let error = result.unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
    assert!(
        Network::builder((4, 4, 2))
            .layer("leak", LeakyRelu::new(0.1).unwrap())
            .build(0)
            .is_ok()
    );
}

#[test]
fn settings_out_of_range() {
    for lr in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(Sgd::<f32>::new(lr).is_err());
        assert!(Momentum::<f32>::new(lr, 0.9).is_err());
        assert!(Adam::<f32>::pytorch(lr).is_err());
        assert!(Schedule::Constant { lr }.check().is_err());
    }
    for share in [-0.1, 1.0, f64::NAN] {
        assert!(Sgd::<f32>::new(0.1).unwrap().with_momentum(share).is_err());
        assert!(RmsProp::<f32>::book(0.1, share).is_err());
        assert!(
            Adam::<f32>::book(0.1)
                .unwrap()
                .with_betas(share, 0.9)
                .is_err()
        );
    }
    assert!(
        SoftmaxWithLoss::<f32>::new()
            .with_label_smoothing(1.1)
            .is_err()
    );
    assert!(
        SoftmaxWithLoss::<f32>::new()
            .with_class_weights(vec![-1.0])
            .is_err()
    );
    let steps = Schedule::Step {
        lr: 0.1,
        step_size: 0,
        gamma: 0.5,
    };
    assert!(steps.check().is_err());

    let weights = SoftmaxWithLoss::new()
        .with_class_weights(vec![1.0; 7])
        .unwrap();
    let (x, mut loss, mut sgd) = (batch(), weights, Sgd::new(0.1).unwrap());
    let error = network().train_step(x.view(), (&LABELS[..]).into(), &mut loss, &mut sgd);
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("expected 3 class weights")
    );
}

#[test]
fn an_optimizer_of_another_network_changes_nothing() {
    let mut momentum = Momentum::new(0.1, 0.9).unwrap();
    let (x, mut loss) = (batch(), SoftmaxWithLoss::new());
    let mut first = network();
    first
        .train_step(x.view(), (&LABELS[..]).into(), &mut loss, &mut momentum)
        .unwrap();
    // The last layer has the same name but another size.
    let mut other = Network::builder(4)
        .affine(6)
        .batch_norm()
        .relu()
        .dropout(0.5)
        .affine(5)
        .build(1)
        .unwrap();
    other
        .gradient(x.view(), (&LABELS[..]).into(), &mut loss)
        .unwrap();
    let before = state(&other);
    let error = momentum.step(&mut other).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("layers.4.weight: expected 18 values, got 30"),
        "{error}"
    );
    assert_eq!(state(&other), before);
}

#[test]
fn backward_needs_its_forward() {
    let mut net = network();
    let (x, dout) = (batch(), Array2::zeros((5, 3)));
    assert!(net.backward(x.view(), dout.view()).is_err());
    net.forward(x.view(), Mode::Train).unwrap();
    assert!(
        net.backward(x.view(), Array2::zeros((4, 3)).view())
            .is_err()
    );
    let fewer = Array2::zeros((4, 4));
    assert!(net.backward(fewer.view(), dout.view()).is_err());
    assert_eq!(net.backward(x.view(), dout.view()).unwrap().dim(), (5, 4));
}
