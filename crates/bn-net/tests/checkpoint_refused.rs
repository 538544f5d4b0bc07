//! What a checkpoint refuses. The error says what to do, and nothing has changed.

use bn_layers::{Layer, LayerExt, Outcome};
use bn_net::{
    AdaGrad, Adam, AdamW, Checkpoint, Error, Gan, Momentum, Nesterov, Network, NetworkBuilder,
    Optimizer, OptimizerSpec, RmsProp, Sgd, SoftmaxWithLoss,
};
use ndarray::Array2;
use serde::Serialize;
use serde_json::{Value, json};
use std::fs;

fn network() -> Network {
    Network::builder(4)
        .affine(8)
        .batch_norm()
        .relu()
        .dropout(0.3)
        .affine(3)
        .build(1)
        .unwrap()
}

fn train(network: &mut Network, optimizer: &mut dyn Optimizer<f32>) {
    let x = Array2::from_shape_fn((8, 4), |(n, d)| ((n * 4 + d) as f32).sin());
    let labels = [0, 1, 2, 0, 1, 2, 0, 1];
    let loss = &mut SoftmaxWithLoss::new();
    network
        .train_step(x.view(), (&labels[..]).into(), loss, optimizer)
        .unwrap();
}

fn of_network(network: &Network) -> Checkpoint {
    let mut checkpoint = Checkpoint::new();
    checkpoint.add_network("net", network).unwrap();
    checkpoint
}

fn of_optimizer(optimizer: &dyn Optimizer<f32>) -> Checkpoint {
    let mut checkpoint = Checkpoint::new();
    checkpoint.add_optimizer("optimizer", optimizer).unwrap();
    checkpoint
}

#[track_caller]
fn refused<V>(result: Result<V, Error>) -> String {
    match result.map(|_| ()) {
        Err(Error::Checkpoint { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

/// The same file with a changed record of a part, as a faulty program may write it.
fn with_record(checkpoint: &Checkpoint, part: &str, change: impl FnOnce(&mut Value)) -> Checkpoint {
    let bytes = checkpoint.to_bytes().unwrap();
    let header_len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let (header, arrays) = bytes[8..].split_at(header_len);
    let mut header: Value = serde_json::from_slice(header).unwrap();
    let values = &mut header["__metadata__"]["bn"];
    let mut records: Value = serde_json::from_str(values.as_str().unwrap()).unwrap();
    change(&mut records[part]);
    *values = records.to_string().into();
    let header = header.to_string().into_bytes();
    let len = (header.len() as u64).to_le_bytes();
    Checkpoint::from_bytes(&[&len[..], &header, arrays].concat()).unwrap()
}

#[test]
fn a_taken_name_overwrites_nothing() {
    let mut trained = network();
    let mut adam = Adam::book(0.1).unwrap();
    train(&mut trained, &mut adam);
    let mut checkpoint = of_network(&trained);
    checkpoint.add_optimizer("adam", &adam).unwrap();
    checkpoint.add_value("value", &1).unwrap();
    checkpoint.add_array("array", &[1], &[1.0f32]).unwrap();
    let before = checkpoint.clone();
    train(&mut trained, &mut adam);

    for reason in [
        refused(checkpoint.add_value("value", &2)),
        refused(checkpoint.add_array("array", &[2], &[2.0f64; 2])),
        refused(checkpoint.add_network("net", &trained)),
        refused(checkpoint.add_optimizer("adam", &adam)),
        refused(checkpoint.add_value("net", &2)),
        // Not even the weights, whose names are free, are added.
        refused(checkpoint.add_optimizer("net", &adam)),
        refused(checkpoint.add_network("value", &trained)),
    ] {
        assert!(reason.contains("already"), "{reason}");
    }
    assert!(checkpoint == before);
    // If the name of a later layer's array is taken, none of the earlier ones is added.
    let mut checkpoint = Checkpoint::new();
    checkpoint
        .add_array("net.layers.4.bias", &[1], &[1.0f32])
        .unwrap();
    let before = checkpoint.clone();
    refused(checkpoint.add_network("net", &trained));
    assert!(checkpoint == before);
}

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
        let mut network = self::network();
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
fn counters_and_arrays_must_be_exactly_those_of_the_network() {
    let mut trained = network();
    train(&mut trained, &mut Sgd::new(0.1).unwrap());
    let whole = of_network(&trained);
    let mut other = network();
    let before = of_network(&other);
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 9] = [
        (
            |r| r["network"]["counters"]["layers.9.draws"] = json!(1),
            "layers.9.draws",
        ),
        (
            |r| r["network"]["counters"]["layers.3.draws"] = json!(-1),
            "-1",
        ),
        (
            |r| r["network"]["counters"]["layers.3.draws"] = json!(1.5),
            "1.5",
        ),
        (|r| r["network"]["counters"] = json!({}), "layers."),
        (
            |r| r["network"]["arrays"] = json!(["layers.0.weight"]),
            "layers.0.bias",
        ),
        (
            |r| {
                r["network"]["arrays"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!("x"))
            },
            "x",
        ),
        (|r| *r = json!({}), "net"),
        (|r| *r = json!(3), "net"),
        (
            |r| *r = json!({"optimizer": {"kind": null, "learning_rate": 1.0, "steps": 0, "arrays": []}}),
            "is an optimizer",
        ),
    ];
    for (change, reason) in changes {
        let checkpoint = with_record(&whole, "net", change);
        let error = refused(checkpoint.restore_network("net", &mut other));
        assert!(error.contains(reason), "{reason} is not in: {error}");
        assert!(of_network(&other) == before);
    }
    // A network with more counters, and one with fewer.
    let with = |dropouts: usize| -> Network {
        let builder = NetworkBuilder::new(4).affine(3);
        let all = (0..dropouts).fold(builder, |builder, _| builder.dropout(0.1));
        all.build(1).unwrap()
    };
    let stored = of_network(&with(1));
    for dropouts in [0, 2] {
        let mut other = with(dropouts);
        let before = of_network(&other);
        let error = refused(stored.restore_network("net", &mut other));
        assert!(
            error.contains(".draws") || error.contains(".seed"),
            "{error}"
        );
        assert!(of_network(&other) == before);
    }
}

#[test]
fn the_largest_counters_are_restored_and_overflow_nothing() {
    let mut trained = network();
    let mut sgd = Sgd::new(0.01).unwrap();
    train(&mut trained, &mut sgd);
    let last = with_record(&of_network(&trained), "net", |r| {
        for value in r["network"]["counters"]
            .as_object_mut()
            .unwrap()
            .values_mut()
        {
            *value = json!(u64::MAX);
        }
    });
    last.restore_network("net", &mut trained).unwrap();
    assert!(of_network(&trained) == last);
    for _ in 0..2 {
        train(&mut trained, &mut sgd);
    }
    trained.visit(&mut |p| assert!(p.value.iter().all(|v| v.is_finite())));
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

#[derive(Serialize)]
struct Nested {
    loss: Option<f64>,
    kind: Kind,
}

#[derive(Serialize)]
enum Kind {
    Newtype(f32),
    Tuple(u8, f32),
    Struct { value: f64 },
}

#[test]
fn a_value_that_json_cannot_hold_is_refused() {
    let mut checkpoint = Checkpoint::new();
    let nested = |loss, kind| Nested { loss, kind };
    for bad in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        let narrow = bad as f32;
        for reason in [
            refused(checkpoint.add_value("v", &bad)),
            refused(checkpoint.add_value("v", &narrow)),
            refused(checkpoint.add_value("v", &Some(bad))),
            refused(checkpoint.add_value("v", &vec![1.0, bad])),
            refused(checkpoint.add_value("v", &(1, bad))),
            refused(
                checkpoint.add_value(
                    "v",
                    &[("key", bad)]
                        .into_iter()
                        .collect::<std::collections::BTreeMap<_, _>>(),
                ),
            ),
            refused(checkpoint.add_value("v", &nested(Some(bad), Kind::Newtype(1.0)))),
            refused(checkpoint.add_value("v", &nested(None, Kind::Newtype(narrow)))),
            refused(checkpoint.add_value("v", &nested(None, Kind::Tuple(1, narrow)))),
            refused(checkpoint.add_value("v", &nested(None, Kind::Struct { value: bad }))),
        ] {
            assert!(reason.contains("JSON has no number"), "{reason}");
        }
    }
    assert!(checkpoint == Checkpoint::new());
    // Finite and missing values are read again.
    let value = nested(None, Kind::Struct { value: f64::MAX });
    checkpoint.add_value("v", &value).unwrap();
    checkpoint.add_value("min", &f64::MIN_POSITIVE).unwrap();
    let loaded = Checkpoint::from_bytes(&checkpoint.to_bytes().unwrap()).unwrap();
    assert!(loaded == checkpoint);
    assert_eq!(loaded.value::<f64>("min").unwrap(), f64::MIN_POSITIVE);
}

#[test]
fn a_value_nested_deeper_than_can_be_read_is_refused() {
    let nested = |depth: usize| (0..depth).fold(json!(1), |value, _| json!([value]));
    let mut checkpoint = Checkpoint::new();
    checkpoint.add_value("deep", &nested(100)).unwrap();
    let loaded = Checkpoint::from_bytes(&checkpoint.to_bytes().unwrap()).unwrap();
    assert_eq!(loaded.value::<Value>("deep").unwrap(), nested(100));
    let reason = refused(checkpoint.add_value("deeper", &nested(101)));
    assert!(reason.contains("deeper than 100"), "{reason}");
}

#[test]
fn impossible_shapes_and_names_are_refused() {
    let mut checkpoint = Checkpoint::new();
    let none: [f32; 0] = [];
    let too_large: [&[usize]; 6] = [
        &[1 << 32, 1 << 32],
        &[1 << 32, 1 << 32, 0],
        &[0, 1 << 32, 1 << 32],
        &[usize::MAX],
        &[usize::MAX, 0],
        &[1 << 61, 0],
    ];
    for shape in too_large {
        let reason = refused(checkpoint.add_array("a", shape, &none));
        assert!(reason.contains(&format!("{shape:?}")), "{reason}");
        refused(checkpoint.add_array("a", shape, &[1.0f64]));
    }
    let reason = refused(checkpoint.add_array("__metadata__", &[1], &[1.0f32]));
    assert!(reason.contains("__metadata__"), "{reason}");
    assert!(checkpoint == Checkpoint::new());
    // Every accepted array is read again.
    let shapes: [&[usize]; 4] = [&[], &[0], &[0, 1 << 30, 1 << 20], &[1, 1, 1]];
    for (i, shape) in shapes.into_iter().enumerate() {
        let values = vec![1.0f32; shape.iter().product()];
        checkpoint
            .add_array(&i.to_string(), shape, &values)
            .unwrap();
    }
    checkpoint.add_array("", &[1], &[1.0f64]).unwrap();
    checkpoint.add_value("__metadata__", &1).unwrap();
    let loaded = Checkpoint::from_bytes(&checkpoint.to_bytes().unwrap()).unwrap();
    assert!(loaded == checkpoint);
    for (i, shape) in shapes.into_iter().enumerate() {
        assert_eq!(loaded.array::<f32>(&i.to_string()).unwrap().shape(), shape);
    }
    // A file with such a shape is refused too.
    let header = r#"{"__metadata__":{"bn":"{}"},"a":{"dtype":"F32","shape":[0,4611686018427387904],"data_offsets":[0,0]}}"#;
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    let reason = refused(Checkpoint::from_bytes(&bytes));
    assert!(reason.contains("a: its shape"), "{reason}");
}

/// If it were undone later, the stored counters would be lost.
#[test]
fn restoring_undoes_an_open_step_first() {
    let mut trained = network();
    let mut sgd = Sgd::new(0.1).unwrap();
    for _ in 0..3 {
        train(&mut trained, &mut sgd);
    }
    let checkpoint = of_network(&trained);
    let mut other = network();
    let x = Array2::from_shape_fn((8, 4), |(n, d)| (n + d) as f32);
    let labels = [0; 8];
    other
        .gradient(x.view(), (&labels[..]).into(), &mut SoftmaxWithLoss::new())
        .unwrap();
    checkpoint.restore_network("net", &mut other).unwrap();
    other.settle(Outcome::TakenBack);
    assert!(of_network(&other) == checkpoint);
}

#[test]
fn only_a_regular_file_is_read_or_written() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = of_network(&network());
    for path in [
        folder.path(),
        "/dev/null".as_ref(),
        "/dev/zero".as_ref(),
        "".as_ref(),
    ] {
        let error = checkpoint.save(path).unwrap_err();
        assert!(matches!(error, Error::Write { .. }), "{error:?}");
        let error = Checkpoint::load(path).unwrap_err();
        assert!(matches!(error, Error::Read { .. }), "{error:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_gan_is_added_and_restored_whole_or_not_at_all() {
    let gan = || -> Gan {
        let generator = Network::builder(2).affine(4).batch_norm().build(1).unwrap();
        let discriminator = Network::builder(4).affine(3).relu().dropout(0.1).affine(1);
        let adam = || Adam::book(0.1).unwrap();
        Gan::new(generator, discriminator.build(2).unwrap(), 3)
            .unwrap()
            .with_optimizers(adam(), adam())
    };
    let state = |gan: &Gan| {
        let mut checkpoint = Checkpoint::new();
        gan.add_to(&mut checkpoint).unwrap();
        checkpoint
    };
    let x = Array2::from_shape_fn((8, 4), |(n, d)| ((n * 4 + d) as f32).sin());
    let mut trained = gan();
    trained.discriminator_step(x.view()).unwrap();
    trained.generator_step(8).unwrap();
    let whole = state(&trained);

    let mut taken = Checkpoint::new();
    taken.add_value("iteration", &1).unwrap();
    let before = taken.clone();
    refused(trained.add_to(&mut taken));
    assert!(taken == before);

    let mut other = gan();
    let before = state(&other);
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 7] = [
        ("generator", |r| r["network"]["arrays"] = json!([])),
        ("discriminator", |r| r["network"]["counters"] = json!({})),
        ("generator_optimizer", |r| {
            r["optimizer"]["learning_rate"] = json!(-1.0)
        }),
        ("discriminator_optimizer", |r| {
            r["optimizer"]["learning_rate"] = json!(-1.0)
        }),
        ("discriminator_optimizer", |r| {
            r["optimizer"]["arrays"] = json!(["x"])
        }),
        ("noise", |r| *r = json!([1])),
        ("iteration", |r| *r = json!(null)),
    ];
    for (part, change) in changes {
        assert!(
            other.restore(&with_record(&whole, part, change)).is_err(),
            "{part}"
        );
        assert!(state(&other) == before, "{part}");
    }
    let last = with_record(&whole, "iteration", |r| *r = json!(u64::MAX));
    other.restore(&last).unwrap();
    assert!(state(&other) == last);
    let error = other.discriminator_step(Array2::zeros((8, 5)).view());
    assert!(matches!(error, Err(Error::Step { step: u64::MAX, .. })));
}
