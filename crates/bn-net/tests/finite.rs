//! A successful step never makes a value of the network or the optimizer infinite or NaN.

use bn_layers::{Layer, LayerExt, Mode, Outcome, State};
use bn_net::{
    AdaGrad, Adam, AdamW, Checkpoint, Error, IdentityWithLoss, Momentum, Nesterov, Network,
    Optimizer, RmsProp, Schedule, Sgd, SoftmaxWithLoss, Trainer,
};
use ndarray::{Array2, array};

fn weights(network: &Network) -> Vec<f32> {
    let mut values = Vec::new();
    network.visit(&mut |p| values.extend(p.value));
    values
}

fn one_to_one() -> Network {
    Network::builder(1).affine(1).build(1).unwrap()
}

#[test]
fn a_gradient_that_overflows_is_refused() {
    let mut network = one_to_one();
    let before = weights(&network);
    let (x, t) = (array![[1e20]], array![[0.0]]);
    let (mut loss, mut sgd) = (IdentityWithLoss::default(), Sgd::new(0.1).unwrap());
    let error = network
        .train_step(x.view(), t.view().into(), &mut loss, &mut sgd)
        .unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with("the gradient of layers.0.weight is not finite"),
        "{message}"
    );
    assert_eq!(weights(&network), before);
}

#[test]
fn invalid_learning_rates_are_refused_by_every_optimizer() {
    let optimizers: [Box<dyn Optimizer<f32>>; 8] = [
        Box::new(Sgd::new(0.1).unwrap()),
        Box::new(Sgd::new(0.1).unwrap().with_momentum(0.5).unwrap()),
        Box::new(Momentum::new(0.1, 0.9).unwrap()),
        Box::new(Nesterov::new(0.1, 0.9).unwrap()),
        Box::new(AdaGrad::book(0.1).unwrap()),
        Box::new(RmsProp::book(0.1, 0.9).unwrap()),
        Box::new(Adam::book(0.1).unwrap()),
        Box::new(AdamW::new(0.1, 0.1).unwrap()),
    ];
    for mut optimizer in optimizers {
        for bad in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            assert!(optimizer.set_learning_rate(bad).is_err(), "{bad}");
            assert_eq!(optimizer.learning_rate(), 0.1);
        }
        optimizer.set_learning_rate(0.0).unwrap();
    }
    assert!(Sgd::<f32>::new(1e300).is_err());
    assert!(Sgd::<f64>::new(1e300).is_ok());
    assert!(Adam::<f32>::pytorch(1e39).is_err());
    assert!(
        Sgd::<f32>::new(0.1)
            .unwrap()
            .with_weight_decay(1e39)
            .is_err()
    );
}

#[test]
fn a_schedule_that_overflows_ends_the_training_before_the_step() {
    let (train, _) = bn_data::Digits::load().unwrap().into_parts();
    let mut network = Network::builder(64).affine(10).build(1).unwrap();
    let schedule = Schedule::Step {
        lr: 0.1,
        step_size: 2,
        gamma: 1e30,
    };
    let result = Trainer::new(100).iterations(10).schedule(schedule).fit(
        &mut network,
        &mut SoftmaxWithLoss::new(),
        &mut Sgd::new(0.1).unwrap(),
        &train,
        None,
    );
    assert!(result.is_err());
    assert!(weights(&network).iter().all(|w| w.is_finite()));
}

/// At any learning rate, all values are finite until a step fails, however training diverges.
#[test]
fn a_diverging_run_ends_with_finite_values() {
    let (train, _) = bn_data::Digits::load().unwrap().into_parts();
    for lr in [10.0, 1e3, 1e6, 1e20, 3e38] {
        for momentum in [0.0, 0.9] {
            let mut network = Network::builder(64)
                .affine(32)
                .batch_norm()
                .relu()
                .affine(32)
                .relu()
                .affine(10)
                .build(1)
                .unwrap();
            let mut sgd = Sgd::new(lr).unwrap().with_momentum(momentum).unwrap();
            let result = Trainer::new(50).epochs(3).fit(
                &mut network,
                &mut SoftmaxWithLoss::new(),
                &mut sgd,
                &train,
                None,
            );
            assert!(result.is_err() || lr < 1e6, "{lr}");
            assert!(weights(&network).iter().all(|w| w.is_finite()), "{lr}");
            let state = Optimizer::<f32>::state(&sgd).unwrap();
            let mut values = state.iter().flat_map(|(_, values)| values);
            assert!(values.all(|v| v.is_finite()), "{lr}");
        }
    }
}

/// A finite gradient whose squares an `f32` cannot hold.
#[test]
fn an_optimizers_state_stays_finite() {
    let adam: Box<dyn Optimizer<f32>> = Box::new(Adam::book(0.1).unwrap());
    let ada_grad = Box::new(AdaGrad::book(0.1).unwrap());
    let rms_prop = Box::new(RmsProp::pytorch(0.1, 0.9).unwrap());
    for mut optimizer in [adam, ada_grad, rms_prop] {
        let mut network = one_to_one();
        let step = |network: &mut Network, optimizer: &mut dyn Optimizer<f32>, scale: f32| {
            let (x, t) = (array![[1.0]], array![[scale]]);
            let mut loss = IdentityWithLoss::default();
            network.train_step(x.view(), t.view().into(), &mut loss, optimizer)
        };
        step(&mut network, &mut *optimizer, 1.0).unwrap();
        let (before, state) = (weights(&network), optimizer.state().cloned());
        let error = step(&mut network, &mut *optimizer, 1e25).unwrap_err();
        assert!(error.to_string().contains("state of layers.0"), "{error}");
        assert_eq!(weights(&network), before);
        assert_eq!(optimizer.state().cloned(), state);
        step(&mut network, &mut *optimizer, 1.0).unwrap();
    }
}

/// Gradients and parameters that are large, but not too large, are accepted.
#[test]
fn large_steps_that_stay_finite_succeed() {
    let (mut network, mut sgd) = (one_to_one(), Sgd::new(1e3).unwrap());
    let (x, t) = (array![[1e9]], array![[0.0]]);
    let mut loss = IdentityWithLoss::default();
    let before = weights(&network);
    network
        .train_step(x.view(), t.view().into(), &mut loss, &mut sgd)
        .unwrap();
    let after = weights(&network);
    let want = before[0] - 1e3 * 2.0 * 1e9 * (before[0] * 1e9);
    assert!((after[0] / want - 1.0).abs() < 1e-6, "{before:?} {after:?}");
}

/// If the velocity is so large that the next ordinary step overflows, that step fails, also after a
/// checkpoint.
#[test]
fn a_step_that_overflows_because_of_the_velocity_is_refused() {
    let step = |network: &mut Network, sgd: &mut Sgd<f32>, scale: f32| {
        let (x, t) = (array![[1.0]], array![[scale]]);
        let mut loss = IdentityWithLoss::default();
        network.train_step(x.view(), t.view().into(), &mut loss, sgd)
    };
    let momentum = || Sgd::new(1e-3).unwrap().with_momentum(0.9).unwrap();
    let (mut network, mut sgd) = (one_to_one(), momentum());
    step(&mut network, &mut sgd, 1e38).unwrap();
    let mut checkpoint = Checkpoint::new();
    checkpoint.add_optimizer::<f32>("sgd", &sgd).unwrap();
    let mut resumed = momentum();
    checkpoint
        .restore_optimizer::<f32>("sgd", &mut resumed, &network)
        .unwrap();
    for sgd in [sgd, resumed] {
        let (mut network, mut sgd) = (network.clone(), sgd.clone());
        network.visit_mut(&mut |p| p.value.fill(0.0));
        Optimizer::<f32>::set_learning_rate(&mut sgd, 100.0).unwrap();
        let error = step(&mut network, &mut sgd, 0.0).unwrap_err();
        assert!(
            error.to_string().contains("the updated layers.0"),
            "{error}"
        );
        assert!(weights(&network).iter().all(|w| *w == 0.0));
    }
}

#[test]
fn a_variance_that_f32_cannot_hold_is_refused_and_changes_nothing() {
    let mut network = Network::builder(2).batch_norm().affine(1).build(1).unwrap();
    let state = |network: &Network| {
        let mut all = Vec::new();
        network.state(&mut |part| {
            all.push(match part {
                State::Array(p) => (p.name.to_owned(), p.value.to_vec()),
                State::Counter(name, value) => (name.to_owned(), vec![value as f32]),
            });
        });
        all
    };
    let (mut loss, mut sgd) = (IdentityWithLoss::default(), Sgd::new(0.1).unwrap());
    let t = array![[1.0], [-1.0]];
    let before = state(&network);
    for scale in [1.9e19, 1e30, 1e38] {
        let x = array![[scale, 1.0], [-scale, 2.0]];
        let error = network
            .train_step(x.view(), t.view().into(), &mut loss, &mut sgd)
            .unwrap_err();
        assert!(matches!(error, Error::Layer { index: 0, .. }), "{error}");
        assert_eq!(state(&network), before);
        // Without running statistics to update there is nothing to refuse.
        let y = network.forward(x.view(), Mode::BatchStats).unwrap();
        assert!(y.iter().all(|v| v.is_finite()));
        assert_eq!(state(&network), before);
    }
}

/// A custom training loop has the same check.
#[test]
fn an_optimizers_step_checks_the_gradients_it_is_given() {
    let mut network = one_to_one();
    let before = weights(&network);
    let (mut loss, mut adam) = (IdentityWithLoss::default(), Adam::book(0.1).unwrap());
    let (x, t): (Array2<f32>, _) = (array![[1.0]], array![[0.0]]);
    network
        .gradient(x.view(), t.view().into(), &mut loss)
        .unwrap();
    network.visit_mut(&mut |p| p.grad[0] = f32::NAN);
    assert!(adam.step(&mut network).is_err());
    network.settle(Outcome::TakenBack);
    assert_eq!(weights(&network), before);
    assert_eq!(Optimizer::<f32>::state(&adam).unwrap().steps(), 0);
}
