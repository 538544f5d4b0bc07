//! Frozen parameters, parameter groups, accumulated gradients, averages and schedules against PyTorch.

use crate::common::{assert_close, labels, matrix, number, numbers, parse};
use bn_layers::{BatchNormConfig, LayerExt};
use bn_net::{
    Accumulator, AdamW, Averaging, Clip, Network, NetworkBuilder, ParamGroup, ParamGroups,
    Schedule, SoftmaxWithLoss, WeightAverage, gradient_norm,
};
use bn_tensor::Scalar;
use ndarray::{Array2, Axis, Slice};
use serde_json::Value;

const LR: f64 = 0.01;
const DECAY: f64 = 0.1;

fn file() -> Value {
    parse(include_str!("golden/training.json"))
}

/// PyTorch's values for a parameter or a buffer of this library.
fn torch_values(state: &Value, name: &str) -> Vec<f64> {
    let name = name.strip_prefix("layers.").unwrap();
    let value = &state[&name.replace("gamma", "weight").replace("beta", "bias")];
    match name.ends_with("weight") {
        true => matrix(value).t().iter().copied().collect(), // (out, in) there
        false => numbers(value),
    }
}

fn network<T: Scalar>(before: &Value) -> Network<T> {
    let pytorch = BatchNormConfig::pytorch();
    let builder = NetworkBuilder::<T>::new(7)
        .affine_without_bias(6)
        .batch_norm_with(pytorch)
        .relu();
    let builder = builder
        .affine_without_bias(6)
        .batch_norm_with(pytorch)
        .relu();
    let mut network = builder.affine(3).build(0).unwrap();
    network.visit_mut(&mut |p| {
        let values = torch_values(before, p.name);
        p.value
            .iter_mut()
            .zip(values)
            .for_each(|(to, v)| *to = T::from_f64(v));
    });
    network
}

fn assert_state<T: Scalar>(what: &str, network: &Network<T>, want: &Value, tolerance: f64) {
    network.visit(&mut |p| {
        let got: Vec<f64> = p.value.iter().map(|v| v.as_f64()).collect();
        let what = format!("{what}: {}", p.name);
        assert_close(&what, &got, &torch_values(want, p.name), tolerance);
    });
}

fn bits<T: Scalar>(network: &Network<T>, name: &dyn Fn(&str) -> bool) -> Vec<u64> {
    let mut bits = Vec::new();
    network.visit(&mut |p| {
        if name(p.name) {
            bits.extend(p.value.iter().map(|v| v.as_f64().to_bits()));
        }
    });
    bits
}

fn groups<T: Scalar>() -> ParamGroups<AdamW<T>> {
    ParamGroups::new(AdamW::new(LR, DECAY).unwrap())
}

/// The steps of a case.
fn train<T: Scalar>(
    case: &Value,
    tolerance: f64,
    network: &mut Network<T>,
    optimizer: &mut ParamGroups<AdamW<T>>,
    mut after: impl FnMut(u64, &Network<T>),
) {
    let (file, mut loss, mut accumulator) =
        (file(), SoftmaxWithLoss::new(), Accumulator::default());
    let (losses, norms) = (numbers(&case["losses"]), numbers(&case["norms"]));
    for (i, batch) in file["batches"].as_array().unwrap().iter().enumerate() {
        let (x, t) = (
            matrix(&batch["x"]).mapv(T::from_f64),
            labels(&batch["labels"]),
        );
        let mut norm = 0.0;
        let value = if case["cuts"].is_null() {
            let step = |network: &mut Network<T>| {
                norm = Clip::Norm(1e9).apply(network)?;
                Ok(())
            };
            network.train_step_with(x.view(), (&t).into(), &mut loss, optimizer, step)
        } else {
            let mut start = 0;
            for rows in numbers(&case["cuts"]) {
                let end = start + rows as usize;
                let rows: Array2<T> = x.slice_axis(Axis(0), Slice::from(start..end)).to_owned();
                let t = &t[start..end];
                accumulator
                    .add(network, rows.view(), t.into(), &mut loss)
                    .unwrap();
                start = end;
            }
            accumulator.step(network, optimizer, |network| {
                norm = gradient_norm(network);
                Ok(())
            })
        };
        assert_close("loss", [&value.unwrap()], [&losses[i]], tolerance);
        assert_close("norm", [&norm], [&norms[i]], tolerance);
        after(i as u64 + 1, network);
    }
}

fn all<T: Scalar>(precision: &str, tolerance: f64) {
    let file = file();
    let section = &file[precision];
    let cases = section["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        // The gradients of micro-batches are rounded once more each.
        let tolerance = if name == "accumulated" {
            2.0 * tolerance
        } else {
            tolerance
        };
        let mut network = network::<T>(&section["before"]);
        let mut optimizer = groups::<T>();
        let mut average = None;
        let is_frozen: &dyn Fn(&str) -> bool = match name {
            "frozen_layers" => {
                network.freeze_layers(..3).unwrap();
                let last = ParamGroup::default().learning_rate(0.1).weight_decay(0.0);
                optimizer = optimizer
                    .group("layers.6.*", last)
                    .unwrap()
                    .decay_weights_only();
                &|name| name.starts_with("layers.0") || name.starts_with("layers.1")
            }
            "frozen_parameters" => {
                for name in ["layers.0.weight", "layers.1.gamma", "layers.4.beta"] {
                    assert_eq!(network.freeze(name).unwrap(), 1);
                }
                &|name| ["layers.0.weight", "layers.1.gamma", "layers.4.beta"].contains(&name)
            }
            "exponential" => {
                let averaging = Averaging::Exponential { decay: 0.9 };
                average = Some(WeightAverage::new(averaging).unwrap());
                &|_| false
            }
            "stochastic" => {
                let averaging = Averaging::Stochastic { start: 1, every: 1 };
                average = Some(WeightAverage::new(averaging).unwrap());
                &|_| false
            }
            "accumulated" => &|_| false,
            other => panic!("unknown case {other}"),
        };
        let before = bits(&network, is_frozen);
        train(
            case,
            tolerance,
            &mut network,
            &mut optimizer,
            |step, network| {
                if let Some(average) = &mut average {
                    average.update(step, network).unwrap();
                }
            },
        );
        assert_state(name, &network, &case["after"], tolerance);
        assert_eq!(
            bits(&network, is_frozen),
            before,
            "{name}: what is frozen has moved"
        );
        if let Some(average) = &mut average {
            average.swap(&mut network);
            assert_state(name, &network, &case["average"], tolerance);
        }
    }
}

#[test]
fn training_agrees_with_pytorch_in_f64() {
    all::<f64>("f64", 1e-11);
}

#[test]
fn training_agrees_with_pytorch_in_f32() {
    all::<f32>("f32", 1e-6);
}

#[test]
fn restarts_and_one_cycle_agree_with_pytorch() {
    let file = file();
    let cases = file["schedules"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let config = |key: &str| number(&case["config"][key]);
        let schedule = match case["name"].as_str().unwrap() {
            "one_cycle" => Schedule::OneCycle {
                max_lr: config("max_lr"),
                steps: config("total_steps") as u64,
            },
            _ => Schedule::Restarts {
                lr: config("lr"),
                steps: config("T_0") as u64,
                factor: config("T_mult") as u64,
                min_lr: config("eta_min"),
            },
        };
        schedule.check().unwrap();
        let got: Vec<f64> = (0..20).map(|t| schedule.learning_rate(t)).collect();
        assert_close("learning rate", &got, &numbers(&case["lr"]), 1e-12);
    }
}
