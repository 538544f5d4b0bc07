//! Every layer can be rebuilt from its description and its state, and copied.

use crate::common::{
    bits, counters,
    every_layer::{every_layer, fused_layers},
    random, state,
};
use bn_layers::{Error, Layer, LayerExt, LayerSpec, Mode};
use bn_tensor::Scalar;
use ndarray::Array2;
use serde_json::{Value, json};

const MODES: [Mode; 4] = [Mode::Eval, Mode::Train, Mode::BatchStats, Mode::Eval];

/// Every layer after a training step of 6 rows.
fn trained<T: Scalar>() -> Vec<(Box<dyn Layer<T>>, usize)> {
    let mut all = every_layer();
    for (layer, width) in &mut all {
        run(&mut **layer, *width, 1, Mode::Train);
    }
    all
}

/// The bits of everything that a step computes, and of the state after it.
fn run<T: Scalar>(layer: &mut dyn Layer<T>, width: usize, seed: u64, mode: Mode) -> Vec<Vec<u64>> {
    let x = random::<T>((6, width), seed);
    let evaluated = layer.eval(x.view()).unwrap();
    let y = layer.forward(x.view(), mode).unwrap();
    let dout = random::<T>(y.dim(), seed + 1);
    let dx: Array2<T> = layer.backward(x.view(), y.view(), dout.view()).unwrap();
    let mut all = vec![bits(&evaluated), bits(&y), bits(&dx)];
    for (_, value, grad) in state(layer) {
        all.extend([value, grad]);
    }
    all.extend(counters(layer).into_iter().map(|(_, value)| vec![value]));
    all
}

/// Copies arrays and counters, which must have the same names, shapes and roles.
fn copy_state<T: Scalar>(from: &dyn Layer<T>, to: &mut dyn Layer<T>) {
    let mut arrays = Vec::new();
    from.visit(&mut |p| {
        let role = (p.is_trained, p.is_decayed);
        arrays.push((p.name.to_owned(), p.shape.to_vec(), role, p.value.to_vec()));
    });
    let mut arrays = arrays.into_iter();
    to.visit_mut(&mut |p| {
        let (name, shape, role, value) = arrays.next().unwrap();
        assert_eq!((p.name, p.shape), (&*name, &*shape));
        assert_eq!((p.is_trained, p.is_decayed), role, "{name}");
        assert_eq!(shape.iter().product::<usize>(), value.len());
        p.value.copy_from_slice(&value);
    });
    assert!(arrays.next().is_none());
    let mut values = counters(from).into_iter();
    to.visit_counters_mut(&mut |name, value| {
        let (of, copy) = values.next().unwrap();
        assert_eq!(name, of);
        *value = copy;
    });
    assert!(values.next().is_none());
}

fn check_round_trip<T: Scalar>() {
    let mut names = Vec::new();
    for (mut layer, width) in trained::<T>() {
        let spec = layer.describe().unwrap();
        let text = serde_json::to_string(&spec).unwrap();
        let read: LayerSpec = serde_json::from_str(&text).unwrap();
        assert_eq!(read, spec);
        let mut again = read.build::<T>().unwrap();
        assert_eq!(again.describe(), Some(spec.clone()), "{text}");
        let shape = |layer: &dyn Layer<T>| layer.output_shape(width.into()).unwrap();
        assert_eq!(shape(&*again), shape(&*layer), "{text}");
        for mode in MODES {
            assert_eq!(
                again.rows_are_independent(mode),
                layer.rows_are_independent(mode)
            );
        }
        copy_state(&*layer, &mut *again);
        for (i, mode) in MODES.into_iter().enumerate() {
            let [got, want] =
                [&mut again, &mut layer].map(|layer| run(&mut **layer, width, i as u64, mode));
            assert_eq!(got, want, "{text} {mode:?}");
        }
        names.push(spec.layer);
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 27, "{names:?}");
}

#[test]
fn every_layer_is_rebuilt_from_its_description_and_its_state() {
    check_round_trip::<f32>();
    check_round_trip::<f64>();
}

/// A description, which a checkpoint stores, must not depend on the fusion of layers.
#[test]
fn a_fused_layer_describes_only_itself() {
    for (layer, _) in fused_layers::<f32>() {
        let spec = layer.describe().unwrap();
        let rebuilt = spec.build::<f32>().unwrap();
        assert_eq!(rebuilt.describe(), Some(spec));
    }
}

/// A checkpoint of an older version has no dilation, groups and ceil mode.
#[test]
fn settings_that_older_descriptions_do_not_have() {
    let defaults = [
        ("dilation", json!([1, 1])),
        ("groups", json!(1)),
        ("ceil_mode", json!(false)),
    ];
    let mut removed = 0;
    for (layer, _) in every_layer::<f32>() {
        let spec = layer.describe().unwrap();
        let mut old = spec.clone();
        let settings = match old.settings.get("window") {
            Some(_) => &mut old.settings["window"],
            None => &mut old.settings,
        };
        let Some(settings) = settings
            .as_object_mut()
            .filter(|s| s.contains_key("stride"))
        else {
            continue; // it has no window
        };
        for (key, default) in &defaults {
            if settings.get(*key) == Some(default) {
                settings.remove(*key);
                removed += 1;
            }
        }
        let again = old.build::<f32>().unwrap();
        assert_eq!(again.describe(), Some(spec));
    }
    assert!(removed > 12, "{removed}");
}

fn check_copies<T: Scalar>() {
    let mut all = trained::<T>();
    all.extend(fused_layers());
    for (layer, width) in &mut all {
        let (mut copy, mut second) = (layer.clone(), layer.clone());
        let want: Vec<_> = MODES.map(|mode| run(&mut *second, *width, 5, mode)).into();
        // The original is trained and its parameters change; the copy stays the same.
        let before = (state(&*copy), counters(&*copy));
        run(&mut **layer, *width, 7, Mode::Train);
        layer.visit_mut(&mut |p| p.value.fill(T::from_f64(0.25)));
        layer.visit_counters_mut(&mut |_, value| *value += 1000);
        assert_eq!((state(&*copy), counters(&*copy)), before, "{layer:?}");
        let got: Vec<_> = MODES.map(|mode| run(&mut *copy, *width, 5, mode)).into();
        assert_eq!(got, want, "{layer:?}");
    }
}

#[test]
fn a_copy_is_independent() {
    check_copies::<f32>();
    check_copies::<f64>();
}

fn build(layer: &str, settings: Value) -> Result<Box<dyn Layer<f32>>, Error> {
    let layer = layer.to_owned();
    LayerSpec { layer, settings }.build()
}

#[test]
fn an_unknown_layer_and_settings_of_a_wrong_type() {
    for name in ["", "Unknown", "affine", "Affine "] {
        let error = build(name, json!({})).unwrap_err();
        assert!(matches!(error, Error::Spec { .. }), "{error}");
        assert!(error.to_string().contains("no such layer"), "{error}");
    }
    let wrong = [
        Value::Null,
        json!("text"),
        json!([1, 2, 3]),
        json!({}),
        json!({"inputs": "3", "outputs": 2, "bias": true}),
        json!({"ratio": null, "is_book": false}),
    ];
    for (layer, _) in every_layer::<f32>() {
        let name = layer.describe().unwrap().layer;
        for settings in &wrong {
            if ["Identity", "Relu", "Relu6", "Sigmoid", "Silu", "Tanh"].contains(&&*name) {
                continue; // they have no settings
            }
            let error = build(&name, settings.clone()).unwrap_err();
            assert!(matches!(error, Error::Spec { .. }), "{name}: {error}");
            assert!(error.to_string().contains(&name), "{error}");
        }
    }
}

/// Replaces the `k`-th number in `settings`. Returns false if there are fewer.
fn replace(settings: &mut Value, k: &mut usize, by: &Value) -> bool {
    match settings {
        Value::Number(_) if *k == 0 => {
            *settings = by.clone();
            return true;
        }
        Value::Number(_) => *k -= 1,
        Value::Array(all) => return all.iter_mut().any(|v| replace(v, k, by)),
        Value::Object(all) => return all.values_mut().any(|v| replace(v, k, by)),
        _ => {}
    }
    false
}

/// Sets each number of each description to extreme values. The result must be an error or a layer that
/// works, never a panic.
#[test]
fn hostile_settings() {
    let extremes = [
        json!(0),
        json!(u64::MAX),
        json!(i64::MAX),
        json!(u64::MAX / 8),
        json!(1u64 << 61),
        json!(-1),
        json!(1e300),
        json!(-0.5),
        json!(null),
        json!("7"),
    ];
    let (mut refused, mut kept) = (0, 0);
    for (layer, width) in every_layer::<f32>() {
        let spec = layer.describe().unwrap();
        for by in &extremes {
            for k in 0.. {
                let mut settings = spec.settings.clone();
                if !replace(&mut settings, &mut { k }, by) {
                    break;
                }
                match build(&spec.layer, settings.clone()) {
                    Ok(layer) => {
                        assert_eq!(layer.describe().unwrap().layer, spec.layer);
                        run_if_small(layer, width);
                        kept += 1;
                    }
                    Err(error) => {
                        let text = error.to_string();
                        assert!(!text.is_empty(), "{settings}");
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(refused > kept && kept > 0, "{refused} refused, {kept} kept");
}

/// Runs a step if such rows fit and the output is small enough for a test.
fn run_if_small(mut layer: Box<dyn Layer<f32>>, width: usize) {
    let shape = layer.output_shape(width.into());
    if shape.is_ok_and(|shape| shape.size() <= 10_000) {
        run(&mut *layer, width, 1, Mode::BatchStats);
    }
}

#[test]
fn sizes_of_zero() {
    for (layer, _) in every_layer::<f32>() {
        let spec = layer.describe().unwrap();
        for key in [
            "channels", "kernel", "image", "stride", "factor", "dilation", "groups", "size",
        ] {
            let (Some(window), settings) = (spec.settings.get("window"), &spec.settings) else {
                zero(&spec, key, None);
                continue;
            };
            assert!(window.is_object() && settings.is_object());
            zero(&spec, key, Some("window"));
        }
    }
    let config = every_layer::<f32>()
        .iter()
        .find_map(|(layer, _)| layer.describe().unwrap().settings.get("config").cloned());
    let settings = json!({"channels": 0, "layout": "ChannelsLast", "config": config.unwrap()});
    assert!(build("BatchNormalization", settings).is_err());
}

/// Sets each number under `key`, if there is one, to 0. Building the layer must fail.
fn zero(spec: &LayerSpec, key: &str, within: Option<&str>) {
    for k in 0.. {
        let mut settings = spec.settings.clone();
        let part = match within {
            Some(within) => settings.get_mut(within),
            None => Some(&mut settings),
        };
        let Some(part) = part.and_then(|part| part.get_mut(key)) else {
            return;
        };
        if !replace(part, &mut { k }, &json!(0)) {
            return;
        }
        let result = build(&spec.layer, settings.clone());
        assert!(result.is_err(), "{} {settings}", spec.layer);
    }
}
