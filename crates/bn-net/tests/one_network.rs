//! An optimizer serves one network.

use bn_layers::{Affine, LayerExt};
use bn_net::{
    AdaGrad, Adam, AdamW, Checkpoint, Error, IdentityWithLoss, Momentum, Nesterov, Network,
    Optimizer, RmsProp, Sgd,
};
use ndarray::array;

fn network() -> Network {
    Network::builder(2)
        .affine(4)
        .relu()
        .affine(1)
        .build(1)
        .unwrap()
}

fn step(network: &mut Network, optimizer: &mut dyn Optimizer<f32>) -> Result<f64, Error> {
    let (x, t) = (array![[0.0, 1.0], [1.0, 2.0]], array![[1.0], [2.0]]);
    let loss = &mut IdentityWithLoss::default();
    network.train_step(x.view(), t.view().into(), loss, optimizer)
}

fn values(network: &Network) -> Vec<f32> {
    let mut values = Vec::new();
    network.visit(&mut |p| values.extend(p.value));
    values
}

fn with_state() -> Vec<Box<dyn Optimizer<f32>>> {
    vec![
        Box::new(Sgd::new(0.1).unwrap().with_momentum(0.9).unwrap()),
        Box::new(Momentum::new(0.1, 0.9).unwrap()),
        Box::new(Nesterov::new(0.1, 0.9).unwrap()),
        Box::new(AdaGrad::book(0.1).unwrap()),
        Box::new(RmsProp::book(0.1, 0.9).unwrap()),
        Box::new(Adam::book(0.1).unwrap()),
        Box::new(AdamW::new(0.1, 0.1).unwrap()),
    ]
}

#[test]
fn a_second_network_is_refused_and_nothing_changes() {
    for mut optimizer in with_state() {
        let mut first = network();
        step(&mut first, &mut *optimizer).unwrap();
        for mut second in [network(), first.clone()] {
            let before = (values(&second), optimizer.state().cloned());
            let error = step(&mut second, &mut *optimizer).unwrap_err();
            assert!(matches!(error, Error::OtherNetwork), "{error:?}");
            assert!(error.to_string().contains("one optimizer for each network"));
            assert_eq!((values(&second), optimizer.state().cloned()), before);
        }
        step(&mut first, &mut *optimizer).unwrap();
        // A network that is moved is still the same one.
        let mut moved = Box::new(first);
        step(&mut moved, &mut *optimizer).unwrap();
    }
}

/// A new network may have the address of one that was dropped.
#[test]
fn a_network_that_is_made_anew_is_another_one() {
    let mut adam = Adam::book(0.1).unwrap();
    step(&mut network(), &mut adam).unwrap();
    for _ in 0..3 {
        let error = step(&mut network(), &mut adam).unwrap_err();
        assert!(matches!(error, Error::OtherNetwork));
    }
}

#[test]
fn clones_of_both_go_on_as_the_originals() {
    let (mut first, mut adam) = (network(), Adam::book(0.1).unwrap());
    step(&mut first, &mut adam).unwrap();
    let (mut copy, mut adam_of_copy) = (first.clone(), adam.clone());
    for _ in 0..3 {
        step(&mut first, &mut adam).unwrap();
        step(&mut copy, &mut adam_of_copy).unwrap();
    }
    assert_eq!(values(&first), values(&copy));
    assert!(step(&mut first, &mut adam_of_copy).is_err());
}

/// After a failed step the optimizer belongs to the same network as before, or to none.
#[test]
fn a_failed_step_changes_no_owner() {
    let fails = |network: &mut Network, optimizer: &mut dyn Optimizer<f32>| {
        let lr = optimizer.learning_rate();
        optimizer.set_learning_rate(1e38).unwrap();
        let error = step(network, optimizer).unwrap_err();
        assert!(matches!(error, Error::NonFinite { .. }), "{error:?}");
        optimizer.set_learning_rate(lr).unwrap();
    };
    let (mut first, mut second) = (network(), network());
    first.visit_mut(&mut |p| p.value.fill(3.0));
    second.visit_mut(&mut |p| p.value.fill(3.0));
    let mut sgd = Sgd::new(1e-3).unwrap().with_momentum(0.9).unwrap();
    fails(&mut first, &mut sgd);
    step(&mut second, &mut sgd).unwrap();
    fails(&mut second, &mut sgd);
    assert!(matches!(
        step(&mut first, &mut sgd),
        Err(Error::OtherNetwork)
    ));
    step(&mut second, &mut sgd).unwrap();
}

#[test]
fn restoring_gives_the_optimizer_to_the_network() {
    let (mut first, mut adam) = (network(), Adam::book(0.1).unwrap());
    step(&mut first, &mut adam).unwrap();
    let mut checkpoint = Checkpoint::new();
    checkpoint.add_network("net", &first).unwrap();
    checkpoint.add_optimizer("adam", &adam).unwrap();
    // Restoring both keeps them together.
    checkpoint.restore_network("net", &mut first).unwrap();
    step(&mut first, &mut adam).unwrap();
    checkpoint
        .restore_optimizer("adam", &mut adam, &first)
        .unwrap();
    step(&mut first, &mut adam).unwrap();
    // Then the optimizer is restored for another network.
    let mut second = network();
    checkpoint.restore_network("net", &mut second).unwrap();
    assert!(step(&mut second, &mut adam).is_err());
    checkpoint
        .restore_optimizer("adam", &mut adam, &second)
        .unwrap();
    step(&mut second, &mut adam).unwrap();
    assert!(step(&mut first, &mut adam).is_err());
}

/// Plain SGD keeps no state that networks could share, and a layer outside a network has no identity.
#[test]
fn what_keeps_no_state_may_serve_several() {
    let mut sgd = Sgd::new(0.1).unwrap();
    for mut network in [network(), network()] {
        step(&mut network, &mut sgd).unwrap();
    }
    let mut adam = Adam::book(0.1).unwrap();
    let mut affine = Affine::new(array![[1.0f32]], array![0.0]).unwrap();
    adam.step(&mut affine).unwrap();
    adam.step(&mut affine).unwrap();
}
