//! Losses, optimizers, schedules and whole training steps against PyTorch.

use crate::common::{assert_close, labels, matrix, number, numbers, parse};
use bn_layers::{BatchNormConfig, LayerExt, ParamMut};
use bn_net::{
    AdaGrad, Adam, AdamW, IdentityWithLoss, Loss, NetworkBuilder, Optimizer, RmsProp, Schedule,
    Sgd, SoftmaxWithLoss,
};
use bn_tensor::Scalar;
use ndarray::{Array2, Axis};
use serde_json::Value;

fn file() -> Value {
    parse(include_str!("golden/torch.json"))
}

fn cast<T: Scalar>(a: &Array2<f64>) -> Array2<T> {
    a.mapv(T::from_f64)
}

fn widen<T: Scalar>(values: &[T]) -> Vec<f64> {
    values.iter().map(|v| v.as_f64()).collect()
}

fn cross_entropy<T: Scalar>(section: &Value, tolerance: f64) {
    let cases = section["cross_entropy"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let config = &case["config"];
        let mut loss = SoftmaxWithLoss::<T>::new()
            .with_label_smoothing(number(&config["label_smoothing"]))
            .unwrap();
        if !config["class_weights"].is_null() {
            let weights = numbers(&config["class_weights"]);
            loss = loss.with_class_weights(weights).unwrap();
        }
        let (x, t) = (cast::<T>(&matrix(&case["logits"])), labels(&case["labels"]));
        let one_hot = Array2::from_shape_fn(x.dim(), |(n, k)| {
            T::from_f64(f64::from(u8::from(t[n] == k)))
        });
        for t in [(&t).into(), one_hot.view().into()] {
            let value = loss.forward(x.view(), t).unwrap();
            assert_close(name, [&value], [&number(&case["loss"])], tolerance);
            let mut dx = Array2::from_elem(x.dim(), T::nan());
            loss.backward_into(x.view(), t, dx.view_mut()).unwrap();
            let dx = widen(dx.as_slice().unwrap());
            assert_close(name, &dx, &numbers(&case["dlogits"]), tolerance);
        }
    }
}

#[test]
fn softmax_with_loss_agrees_with_cross_entropy_loss() {
    cross_entropy::<f64>(&file()["f64"], 1e-12);
    cross_entropy::<f32>(&file()["f32"], 1e-6);
}

#[test]
fn identity_with_loss_agrees_with_mse_loss() {
    let mse = &file()["f64"]["mse"];
    let (y, t) = (matrix(&mse["y"]), matrix(&mse["t"]));
    let mut loss = IdentityWithLoss::default();
    let value = loss.forward(y.view(), t.view().into()).unwrap();
    assert_close("mse", [&value], [&number(&mse["loss"])], 1e-13);
    let mut dy = Array2::from_elem(y.dim(), f64::NAN);
    loss.backward_into(y.view(), t.view().into(), dy.view_mut())
        .unwrap();
    assert_close("mse", &dy, &matrix(&mse["dy"]), 1e-13);
}

fn optimizer<T: Scalar>(case: &Value) -> Box<dyn Optimizer<T>> {
    let config = |key: &str| number(&case["config"][key]);
    let betas = || {
        let betas = numbers(&case["config"]["betas"]);
        (betas[0], betas[1])
    };
    let lr = config("lr");
    let sgd = Sgd::new(lr).unwrap();
    match case["name"].as_str().unwrap() {
        "sgd" => Box::new(sgd),
        "sgd_weight_decay" => Box::new(sgd.with_weight_decay(config("weight_decay")).unwrap()),
        "momentum" => Box::new(sgd.with_momentum(config("momentum")).unwrap()),
        "momentum_weight_decay" => Box::new(
            sgd.with_momentum(config("momentum"))
                .and_then(|s| s.with_weight_decay(config("weight_decay")))
                .unwrap(),
        ),
        "nesterov" => Box::new(
            sgd.with_momentum(config("momentum"))
                .unwrap()
                .with_nesterov(),
        ),
        "adagrad" => Box::new(AdaGrad::pytorch(lr).unwrap()),
        "rmsprop" => Box::new(RmsProp::pytorch(lr, config("alpha")).unwrap()),
        "adam" => {
            let (b1, b2) = betas();
            Box::new(Adam::pytorch(lr).unwrap().with_betas(b1, b2).unwrap())
        }
        "adam_weight_decay" => {
            let (b1, b2) = betas();
            let adam = Adam::pytorch(lr).unwrap().with_betas(b1, b2).unwrap();
            Box::new(adam.with_weight_decay(config("weight_decay")).unwrap())
        }
        "adamw" => {
            let (b1, b2) = betas();
            let adam = AdamW::new(lr, config("weight_decay")).unwrap();
            Box::new(adam.with_betas(b1, b2).unwrap())
        }
        other => panic!("unknown case {other}"),
    }
}

fn optimizers<T: Scalar>(section: &Value, tolerance: f64) {
    let section = &section["optimizers"];
    let cases = section["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 10);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let mut optimizer = optimizer::<T>(case);
        let mut p: Vec<T> = numbers(&section["start"])
            .iter()
            .map(|&v| T::from_f64(v))
            .collect();
        let gradients = cast::<T>(&matrix(&section["gradients"]));
        for (grad, want) in gradients
            .outer_iter()
            .zip(matrix(&case["after"]).outer_iter())
        {
            optimizer.begin_step();
            let shape = [p.len()];
            optimizer
                .update(ParamMut::new("w", &shape, &mut p, &mut grad.to_vec()))
                .unwrap();
            assert_close(name, &widen(&p), want.iter(), tolerance);
        }
    }
}

#[test]
fn optimizers_agree_with_pytorch() {
    optimizers::<f64>(&file()["f64"], 1e-12);
    optimizers::<f32>(&file()["f32"], 1e-6);
}

#[test]
fn schedules_agree_with_pytorch() {
    let file = file();
    let cases = file["schedules"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let config = |key: &str| number(&case["config"][key]);
        let lr = config("lr");
        let schedule = match case["name"].as_str().unwrap() {
            "step" => Schedule::Step {
                lr,
                step_size: config("step_size") as u64,
                gamma: config("gamma"),
            },
            "cosine" => Schedule::Cosine {
                lr,
                steps: config("T_max") as u64,
                min_lr: config("eta_min"),
            },
            "linear_warm_up" => {
                assert_eq!(config("end_factor"), 1.0);
                Schedule::WarmUp {
                    steps: config("total_iters") as u64,
                    start_factor: config("start_factor"),
                    then: Box::new(Schedule::Constant { lr }),
                }
            }
            other => panic!("unknown case {other}"),
        };
        schedule.check().unwrap();
        let want = numbers(&case["lr"]);
        // PyTorch's cosine is a recurrence that rises again after T_max; this one stays at min_lr.
        let until = match schedule {
            Schedule::Cosine { steps, .. } => want.len().min(steps as usize + 1),
            _ => want.len(),
        };
        let got: Vec<f64> = (0..until as u64)
            .map(|t| schedule.learning_rate(t))
            .collect();
        let name = case["name"].as_str().unwrap();
        assert_close(name, &got, &want[..until], 1e-12);
    }
}

/// PyTorch's values for a parameter of this library: the positions are the same, the names differ, and
/// the weights are transposed.
fn torch_values(params: &Value, name: &str) -> Vec<f64> {
    let torch = name.replace("gamma", "weight").replace("beta", "bias");
    let value = &params[&torch];
    if name.ends_with("weight") {
        let w = matrix(value); // (out, in)
        return w.t().as_standard_layout().iter().copied().collect();
    }
    numbers(value)
}

fn network<T: Scalar>(section: &Value, tolerance: f64) {
    let case = &section["network"];
    let sizes = numbers(&case["config"]["sizes"]);
    let mut builder = NetworkBuilder::<T>::new(sizes[0] as usize);
    for &hidden in &sizes[1..sizes.len() - 1] {
        builder = builder
            .affine(hidden as usize)
            .batch_norm_with(BatchNormConfig::pytorch())
            .relu();
    }
    let mut net = builder
        .affine(sizes[sizes.len() - 1] as usize)
        .build(0)
        .unwrap();
    net.visit_mut(&mut |p| {
        if p.is_trained {
            let values = torch_values(&case["parameters"], p.name);
            for (v, value) in p.value.iter_mut().zip(values) {
                *v = T::from_f64(value);
            }
        }
    });
    let mut sgd = Sgd::new(number(&case["config"]["lr"])).unwrap();
    let mut loss = SoftmaxWithLoss::new();
    for (i, step) in case["steps"].as_array().unwrap().iter().enumerate() {
        let (x, t) = (cast::<T>(&matrix(&step["x"])), labels(&step["labels"]));
        let value = net
            .train_step(x.view(), (&t).into(), &mut loss, &mut sgd)
            .unwrap();
        assert_close("loss", [&value], [&number(&step["loss"])], tolerance);
        net.visit(&mut |p| {
            let what = format!("step {i}: {}", p.name);
            let trained = p.is_trained;
            let after = if trained {
                &step["parameters_after"]
            } else {
                &step["running_after"]
            };
            let want = torch_values(after, p.name);
            assert_close(&what, &widen(p.value), &want, tolerance);
            if trained {
                let want = torch_values(&step["gradients"], p.name);
                assert_close(
                    &format!("{what}, gradient"),
                    &widen(p.grad),
                    &want,
                    tolerance,
                );
            }
        });
    }
    let x = cast::<T>(&matrix(&case["evaluation"]["x"]));
    let want = matrix(&case["evaluation"]["logits"]);
    let logits = net.predict(x.view()).unwrap();
    assert_close(
        "evaluation",
        &widen(logits.as_slice().unwrap()),
        &want,
        tolerance,
    );

    let proba = net.predict_proba(x.view()).unwrap();
    let softmax = want.mapv(f64::exp);
    let softmax = &softmax / &softmax.sum_axis(Axis(1)).insert_axis(Axis(1));
    assert_close(
        "softmax",
        &widen(proba.as_slice().unwrap()),
        &softmax,
        tolerance,
    );
}

#[test]
fn a_network_trains_like_pytorchs() {
    network::<f64>(&file()["f64"], 1e-12);
    network::<f32>(&file()["f32"], 2e-6);
}
