//! Whole networks with residual blocks and a concatenation against PyTorch, in f64.

use crate::common::{assert_close, labels, matrix, number, numbers, parse};
use bn_layers::{
    BatchNormConfig, Conv2dConfig, LayerExt, Mode, Padding, Param, kernel_from_pytorch,
};
use bn_net::{Loss, Network, NetworkBuilder, Sgd, SoftmaxWithLoss};
use bn_tensor::Scalar;
use ndarray::{Array2, Array4};
use serde_json::Value;

fn file() -> Value {
    parse(include_str!("golden/residual.json"))
}

fn conv<T: Scalar>(
    b: NetworkBuilder<T>,
    [filters, kernel, stride]: [usize; 3],
) -> NetworkBuilder<T> {
    let around = kernel / 2;
    let padding = Padding::Explicit {
        top: around,
        bottom: around,
        left: around,
        right: around,
    };
    let config = Conv2dConfig::new(filters, kernel).stride(stride);
    b.conv2d(config.padding(padding).without_bias())
}

fn norm<T: Scalar>(b: NetworkBuilder<T>) -> NetworkBuilder<T> {
    b.batch_norm_with(BatchNormConfig::pytorch())
}

fn norm_relu<T: Scalar>(b: NetworkBuilder<T>) -> NetworkBuilder<T> {
    norm(b).relu()
}

fn post_activation<T: Scalar>(b: NetworkBuilder<T>) -> NetworkBuilder<T> {
    norm_relu(conv(b, [2, 3, 1]))
        .residual(|b| norm(conv(norm_relu(conv(b, [2, 3, 1])), [2, 3, 1])))
        .relu()
        .residual_with(
            |b| norm(conv(norm_relu(conv(b, [3, 3, 2])), [3, 3, 1])),
            |s| norm(conv(s, [3, 1, 2])),
        )
        .relu()
}

fn pre_activation<T: Scalar>(b: NetworkBuilder<T>) -> NetworkBuilder<T> {
    let b =
        conv(b, [2, 3, 1]).residual(|b| conv(norm_relu(conv(norm_relu(b), [2, 3, 1])), [2, 3, 1]));
    norm_relu(norm_relu(b).residual_with(
        |b| conv(norm_relu(conv(b, [3, 3, 2])), [3, 3, 1]),
        |s| conv(s, [3, 1, 2]),
    ))
}

fn concat<T: Scalar>(b: NetworkBuilder<T>) -> NetworkBuilder<T> {
    norm_relu(norm_relu(conv(b, [2, 3, 1])).concat(|all| {
        all.branch(|b| norm_relu(conv(b, [1, 1, 1]))).branch(|b| {
            let inner = b.residual(|b| norm(conv(b, [2, 3, 1])));
            conv(inner.relu(), [3, 3, 1])
        })
    }))
}

/// PyTorch's values for a parameter or a buffer of this library.
fn torch_values(state: &Value, name: &str) -> Vec<f64> {
    let value = &state[&name.replace("gamma", "weight").replace("beta", "bias")];
    match numbers(&value["shape"])[..] {
        [out, inputs, rows, columns] => {
            let shape = [out, inputs, rows, columns].map(|size| size as usize);
            let w = Array4::from_shape_vec(shape, numbers(value)).unwrap();
            kernel_from_pytorch(w.view()).iter().copied().collect()
        }
        [_, _] => matrix(value).t().iter().copied().collect(), // (out, in) there
        _ => numbers(value),
    }
}

/// Compares what `of` takes of each parameter and buffer: its value, its gradient, or nothing.
fn assert_state<T: Scalar>(
    what: &str,
    network: &Network<T>,
    want: &Value,
    tolerance: f64,
    of: impl for<'a> Fn(Param<'a, T>) -> Option<&'a [T]>,
) {
    network.visit(&mut |p| {
        let name = p.name;
        if let Some(got) = of(p) {
            let (what, want) = (format!("{what}: {name}"), torch_values(want, name));
            assert_close(&what, &wide(got), &want, tolerance);
        }
    });
}

fn wide<'a, T: Scalar>(values: impl IntoIterator<Item = &'a T>) -> Vec<f64> {
    values.into_iter().map(|v| v.as_f64()).collect()
}

fn network<T: Scalar>(case: &Value) -> Network<T> {
    let builder = NetworkBuilder::<T>::new((4, 4, 2));
    let builder = match case["name"].as_str().unwrap() {
        "post_activation" => post_activation(builder),
        "pre_activation" => pre_activation(builder),
        "concat" => concat(builder),
        other => panic!("unknown case {other}"),
    };
    let mut network = builder.global_avg_pool2d().affine(3).build(0).unwrap();
    network.visit_mut(&mut |p| {
        let values = torch_values(&case["before"], p.name);
        assert_eq!(p.value.len(), values.len(), "{}", p.name);
        p.value
            .iter_mut()
            .zip(values)
            .for_each(|(to, v)| *to = T::from_f64(v));
    });
    network
}

type Batch<T> = (Array2<T>, Vec<usize>);

/// One training pass: the logits, the loss, all gradients and the running statistics.
fn check_pass<T: Scalar>(case: &Value, (x, t): &Batch<T>, tolerance: f64) {
    let (name, step) = (case["name"].as_str().unwrap(), &case["steps"][0]);
    let (mut network, mut loss) = (network::<T>(case), SoftmaxWithLoss::new());
    let logits = network.forward(x.view(), Mode::Train).unwrap().to_owned();
    assert_close(name, &wide(&logits), &matrix(&step["logits"]), tolerance);
    let value = loss.forward(logits.view(), t.into()).unwrap();
    assert_close(name, [&value], [&number(&step["loss"])], tolerance);
    let mut dout = Array2::zeros(logits.dim());
    loss.backward_into(logits.view(), t.into(), dout.view_mut())
        .unwrap();
    let dx = network.backward(x.view(), dout.view()).unwrap();
    assert_close(name, &wide(&dx), &matrix(&case["dx"]), tolerance);
    assert_state(name, &network, &case["gradients"], tolerance, |p| {
        p.is_trained.then_some(p.grad)
    });
    assert_state(name, &network, &case["running"], tolerance, |p| {
        (!p.is_trained).then_some(p.value)
    });
}

/// Steps of SGD, and an evaluation.
fn check_steps<T: Scalar>(case: &Value, config: &Value, batches: &[Batch<T>], tolerance: f64) {
    let name = case["name"].as_str().unwrap();
    let (mut network, mut loss) = (network::<T>(case), SoftmaxWithLoss::new());
    let sgd = Sgd::new(number(&config["lr"])).unwrap();
    let mut sgd = sgd.with_momentum(number(&config["momentum"])).unwrap();
    for ((x, t), step) in batches.iter().zip(case["steps"].as_array().unwrap()) {
        let value = network.train_step(x.view(), t.into(), &mut loss, &mut sgd);
        assert_close(name, [&value.unwrap()], [&number(&step["loss"])], tolerance);
    }
    assert_state(name, &network, &case["after"], tolerance, |p| Some(p.value));
    let logits = network.predict(batches.last().unwrap().0.view()).unwrap();
    assert_close(
        name,
        &wide(&logits),
        &matrix(&case["evaluation"]),
        tolerance,
    );
}

fn check<T: Scalar>(tolerance: f64) {
    let file = file();
    let batches = file["batches"].as_array().unwrap().iter().map(|batch| {
        let x = matrix(&batch["x"]).mapv(T::from_f64);
        (x, labels(&batch["labels"]))
    });
    let batches: Vec<_> = batches.collect();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!((cases.len(), batches.len()), (3, 3));
    for case in cases {
        check_pass::<T>(case, &batches[0], tolerance);
        check_steps(case, &file["config"], &batches, tolerance);
    }
}

#[test]
fn networks_of_blocks_agree_with_pytorch_in_f64() {
    check::<f64>(1e-12);
}

#[test]
fn networks_of_blocks_agree_with_pytorch_in_f32() {
    check::<f32>(1e-6);
}
