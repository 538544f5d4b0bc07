//! What a checkpoint refuses. The error says what to do, and nothing has changed.

use crate::common::checkpoints::{network, of_network, refused, train, with_record};
use bn_layers::{Layer, LayerExt, Outcome};
use bn_net::{Adam, Checkpoint, Error, Gan, Network, NetworkBuilder, Sgd, SoftmaxWithLoss};
use ndarray::Array2;
use serde::Serialize;
use serde_json::{Value, json};
use std::fs;

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
