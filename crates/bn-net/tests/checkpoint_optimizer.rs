//! Optimizers in a checkpoint: the state goes only into an optimizer that it fits.

use crate::common::checkpoints::{network, of_network, of_optimizer, refused, train, with_record};
use bn_layers::LayerExt;
use bn_net::{
    AdaGrad, Adam, AdamW, Checkpoint, Error, Momentum, Nesterov, Optimizer, OptimizerSpec, RmsProp,
    Sgd,
};
use serde_json::{Value, json};

/// Every optimizer, with every formula and with different settings.
fn optimizers() -> Vec<Box<dyn Optimizer<f32>>> {
    let sgd = || Sgd::new(0.1).unwrap();
    let adam = || Adam::book(0.1).unwrap();
    vec![
        Box::new(sgd()),
        Box::new(sgd().with_weight_decay(0.1).unwrap()),
        Box::new(sgd().with_momentum(0.9).unwrap()),
        Box::new(sgd().with_momentum(0.8).unwrap()),
        Box::new(sgd().with_momentum(0.9).unwrap().with_nesterov()),
        Box::new(Momentum::new(0.1, 0.9).unwrap()),
        Box::new(Momentum::new(0.1, 0.5).unwrap()),
        Box::new(Nesterov::new(0.1, 0.9).unwrap()),
        Box::new(AdaGrad::book(0.1).unwrap()),
        Box::new(AdaGrad::pytorch(0.1).unwrap()),
        Box::new(RmsProp::book(0.1, 0.9).unwrap()),
        Box::new(RmsProp::book(0.1, 0.99).unwrap()),
        Box::new(RmsProp::pytorch(0.1, 0.9).unwrap()),
        Box::new(adam()),
        Box::new(adam().with_betas(0.5, 0.999).unwrap()),
        Box::new(adam().with_betas(0.9, 0.99).unwrap()),
        Box::new(adam().with_weight_decay(0.1).unwrap()),
        Box::new(Adam::pytorch(0.1).unwrap()),
        Box::new(AdamW::new(0.1, 0.1).unwrap()),
        Box::new(AdamW::new(0.1, 0.2).unwrap()),
    ]
}

/// The visible state of an optimizer.
fn state(optimizer: &dyn Optimizer<f32>) -> (f64, Checkpoint) {
    (optimizer.learning_rate(), of_optimizer(optimizer))
}

#[test]
fn an_optimizer_takes_only_the_state_of_its_own_kind_and_settings() {
    for (i, mut stored) in optimizers().into_iter().enumerate() {
        let mut network = network();
        train(&mut network, &mut *stored);
        stored.set_learning_rate(0.05).unwrap();
        let checkpoint = of_optimizer(&*stored);
        for (k, mut other) in optimizers().into_iter().enumerate() {
            let before = state(&*other);
            let result = checkpoint.restore_optimizer("optimizer", &mut *other, &network);
            if i == k {
                result.unwrap();
                assert_eq!(state(&*other), state(&*stored));
                assert_eq!(other.learning_rate(), 0.05);
                continue;
            }
            let reason = refused(result);
            for optimizer in [&stored, &other] {
                let name = optimizer.describe().unwrap().to_string();
                assert!(reason.contains(&name), "{name} is not in: {reason}");
            }
            assert_eq!(state(&*other), before);
        }
    }
}

/// An optimizer from outside, which may describe itself or not.
#[derive(Clone)]
struct Outside {
    sgd: Sgd<f32>,
    spec: Option<OptimizerSpec>,
    keeps_state: bool,
}

impl Optimizer<f32> for Outside {
    fn state(&self) -> Option<&bn_net::OptimizerState<f32>> {
        self.sgd.state().filter(|_| self.keeps_state)
    }

    fn state_mut(&mut self) -> Option<&mut bn_net::OptimizerState<f32>> {
        self.sgd.state_mut().filter(|_| self.keeps_state)
    }

    fn describe(&self) -> Option<OptimizerSpec> {
        self.spec.clone()
    }

    fn update(&mut self, p: bn_layers::ParamMut<'_, f32>) -> Result<(), Error> {
        self.sgd.update(p)
    }

    fn learning_rate(&self) -> f64 {
        self.sgd.learning_rate()
    }

    fn set_learning_rate(&mut self, lr: f64) -> Result<(), Error> {
        self.sgd.set_learning_rate(lr)
    }
}

#[test]
fn an_optimizer_from_outside_is_told_apart_by_its_description() {
    let outside = |spec, keeps_state| Outside {
        sgd: Sgd::new(0.1).unwrap().with_momentum(0.9).unwrap(),
        spec,
        keeps_state,
    };
    let spec = Some(OptimizerSpec::new("Outside", &[("a", 1.0)]));
    let mut network = network();
    let mut unnamed = outside(None, true);
    train(&mut network, &mut unnamed);
    let checkpoint = of_optimizer(&unnamed);
    let restore =
        |mut other: Outside| checkpoint.restore_optimizer("optimizer", &mut other, &network);
    restore(outside(None, true)).unwrap();
    let reason = refused(restore(outside(spec, true)));
    assert!(reason.contains("Outside (a 1.0)"), "{reason}");
    assert!(reason.contains("does not describe itself"), "{reason}");
    let reason = refused(restore(outside(None, false)));
    assert!(reason.contains("keeps no state"), "{reason}");
    let mut sgd = outside(None, true).sgd;
    refused(checkpoint.restore_optimizer("optimizer", &mut sgd, &network));
    let infinite = outside(
        Some(OptimizerSpec::new("Outside", &[("a", 1.0 / 0.0)])),
        true,
    );
    refused(Checkpoint::new().add_optimizer("optimizer", &infinite));
}

#[test]
fn a_damaged_state_of_an_optimizer_is_refused() {
    let mut network = network();
    let mut adam = Adam::book(0.1).unwrap();
    train(&mut network, &mut adam);
    let whole = of_optimizer(&adam);
    let mut other = Adam::book(0.2).unwrap();
    let before = state(&other);
    let mut refused_by = |checkpoint: &Checkpoint| {
        let result = checkpoint.restore_optimizer("optimizer", &mut other, &network);
        assert_eq!(state(&other), before);
        result.unwrap_err().to_string()
    };
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 8] = [
        (
            |r| r["optimizer"]["learning_rate"] = json!(-1.0),
            "learning rate",
        ),
        (
            |r| r["optimizer"]["learning_rate"] = json!(1e300),
            "learning rate",
        ),
        (|r| r["optimizer"]["steps"] = json!(-1), "-1"),
        (|r| r["optimizer"]["steps"] = json!(null), "null"),
        (
            |r| r["optimizer"]["kind"] = json!(null),
            "does not describe itself",
        ),
        (|r| r["optimizer"]["arrays"] = json!(["other"]), "other"),
        (|r| r["optimizer"]["more"] = json!(1), "more"),
        (|r| r["network"] = json!({}), "optimizer"),
    ];
    for (change, reason) in changes {
        let error = refused_by(&with_record(&whole, "optimizer", change));
        assert!(error.contains(reason), "{reason} is not in: {error}");
    }
    // The number of steps does not overflow.
    let last = with_record(&whole, "optimizer", |r| {
        r["optimizer"]["steps"] = json!(u64::MAX);
    });
    last.restore_optimizer("optimizer", &mut other, &network)
        .unwrap();
    train(&mut network, &mut other);
    assert_eq!(other.state().unwrap().steps(), u64::MAX);
    network.visit(&mut |p| assert!(p.value.iter().all(|v| v.is_finite())));

    // The first moment is at 0..32, the second at 32..64.
    for (i, value, reason) in [
        (32, -1.0, "negative"),
        (0, f32::NAN, "NaN"),
        (40, f32::INFINITY, "infinity"),
    ] {
        let mut network = crate::common::checkpoints::network();
        let mut adam = Adam::book(0.1).unwrap();
        train(&mut network, &mut adam);
        let mut checkpoint = Checkpoint::new();
        let record: Value = whole.value("optimizer").unwrap();
        checkpoint.add_value("optimizer", &record).unwrap();
        adam.state().unwrap().iter().for_each(|(name, values)| {
            let (mut values, name) = (values.to_vec(), format!("optimizer.{name}"));
            if name == "optimizer.layers.0.weight" {
                values[i] = value;
            }
            checkpoint
                .add_array(&name, &[2, values.len() / 2], &values)
                .unwrap();
        });
        let mut other = Adam::book(0.2).unwrap();
        let before = state(&other);
        let result = checkpoint.restore_optimizer("optimizer", &mut other, &network);
        let error = refused(result);
        assert!(
            error.contains(reason) && error.contains("layers.0.weight"),
            "{error}"
        );
        assert_eq!(state(&other), before);
    }
}

#[test]
fn an_optimizer_may_be_stored_under_the_prefix_of_its_network() {
    let mut trained = network();
    let mut adam = Adam::book(0.1).unwrap();
    train(&mut trained, &mut adam);
    let mut checkpoint = of_network(&trained);
    checkpoint.add_optimizer("net.adam", &adam).unwrap();
    checkpoint.add_value("net.note", &"a value").unwrap();
    checkpoint.add_array("net.extra", &[1], &[1.0f32]).unwrap();
    checkpoint.add_network("net.inner", &network()).unwrap();
    let checkpoint = Checkpoint::from_bytes(&checkpoint.to_bytes().unwrap()).unwrap();

    let (mut restored, mut other) = (network(), Adam::book(0.2).unwrap());
    checkpoint.restore_network("net", &mut restored).unwrap();
    checkpoint
        .restore_optimizer("net.adam", &mut other, &restored)
        .unwrap();
    assert!(of_network(&restored) == of_network(&trained));
    assert_eq!(state(&other), state(&adam));
    checkpoint
        .restore_network("net.inner", &mut restored)
        .unwrap();
    let reason = refused(checkpoint.restore_network("net.adam", &mut restored));
    assert!(reason.contains("net.adam is an optimizer"), "{reason}");
    let reason = refused(checkpoint.restore_optimizer("net", &mut other, &restored));
    assert!(reason.contains("net is a network"), "{reason}");
}
