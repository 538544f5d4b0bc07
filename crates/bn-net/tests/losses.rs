//! The losses against PyTorch and Keras, against central differences, in parts of a batch, and with extreme values.

use crate::common::{assert_close, labels, matrix, number, numbers, parse};
use bn_net::{
    BinaryCrossEntropy, Error, Huber, IdentityWithLoss, Loss, MeanAbsoluteError, MeanSquaredError,
    Reduction, SoftmaxWithLoss, Targets,
};
use bn_tensor::Scalar;
use ndarray::{Array2, ArrayView2, Axis, Slice, array};
use serde_json::Value;

/// The gradient of the last forward pass.
fn gradient<T: Scalar>(loss: &dyn Loss<T>, x: ArrayView2<'_, T>, t: Targets<'_, T>) -> Array2<T> {
    let mut dx = Array2::from_elem(x.dim(), T::nan());
    loss.backward_into(x, t, dx.view_mut()).unwrap();
    dx
}

fn reduction(config: &Value) -> Reduction {
    match config["reduction"].as_str().unwrap() {
        "sum" => Reduction::Sum,
        _ => Reduction::Mean,
    }
}

/// The loss of a golden case.
fn configured<T: Scalar>(kind: &str, config: &Value) -> Box<dyn Loss<T>> {
    let reduction = reduction(config);
    match kind {
        "softmax" => {
            let loss = SoftmaxWithLoss::new()
                .with_ignored_label(number(&config["ignored_label"]) as usize)
                .with_label_smoothing(number(&config["label_smoothing"]))
                .unwrap();
            let loss = match &config["class_weights"] {
                Value::Null => loss,
                weights => loss.with_class_weights(numbers(weights)).unwrap(),
            };
            Box::new(loss.with_reduction(reduction))
        }
        "binary_cross_entropy" => {
            let loss = match config["on"].as_str().unwrap() {
                "logits" => BinaryCrossEntropy::on_logits(),
                _ => BinaryCrossEntropy::on_probabilities(),
            };
            let loss = match &config["positive_weights"] {
                Value::Null => loss,
                weights => loss.with_positive_weights(numbers(weights)).unwrap(),
            };
            Box::new(loss.with_reduction(reduction))
        }
        "mean_squared_error" => Box::new(MeanSquaredError::new().with_reduction(reduction)),
        "mean_absolute_error" => Box::new(MeanAbsoluteError::new().with_reduction(reduction)),
        "huber" => {
            let loss = Huber::new(number(&config["delta"])).unwrap();
            Box::new(loss.with_reduction(reduction))
        }
        other => panic!("{other}"),
    }
}

fn golden<T: Scalar>(section: &Value, count: usize, tolerance: f64) {
    let mut checked = 0;
    for (kind, cases) in section.as_object().unwrap() {
        for case in cases.as_array().unwrap() {
            let name = format!("{kind}: {}", case["name"]);
            let mut loss = configured::<T>(kind, &case["config"]);
            let x: Array2<T> = matrix(&case["x"]).mapv(T::from_f64);
            let (classes, values);
            let t = if kind == "softmax" {
                classes = labels(&case["t"]);
                Targets::Labels(&classes)
            } else {
                values = matrix(&case["t"]).mapv(T::from_f64);
                Targets::Dense(values.view())
            };
            let value = loss.forward(x.view(), t).unwrap();
            assert_close(&name, [&value], [&number(&case["loss"])], tolerance);
            let dx = gradient(&*loss, x.view(), t).mapv(|v| v.as_f64());
            assert_close(&name, &dx, &numbers(&case["dx"]), tolerance);
            checked += 1;
        }
    }
    assert_eq!(checked, count);
}

#[test]
fn they_agree_with_pytorch_and_keras() {
    let file = parse(include_str!("golden/losses.json"));
    golden::<f64>(&file["f64"], 38, 1e-12);
    golden::<f32>(&file["f32"], 44, 1e-6);
}

const IGNORED: usize = 7;

/// Each loss in several settings, with its outputs and targets of six rows, away from corners.
fn every_loss(check: impl Fn(&str, &mut dyn Loss<f64>, &Array2<f64>, Targets<'_, f64>)) {
    let x = Array2::from_shape_fn((6, 3), |(n, k)| ((n * 3 + k) as f64 * 1.7).sin() * 2.0);
    let t = Array2::from_shape_fn((6, 3), |(n, k)| ((n * 3 + k) as f64 * 0.9).cos() * 2.0);
    let p = x.mapv(|x| 1.0 / (1.0 + (-x).exp()));
    let targets = t.mapv(|t| t.abs() / 2.0);
    let labels = [0, IGNORED, 2, 1, 0, IGNORED];
    let softmax = || {
        SoftmaxWithLoss::new()
            .with_ignored_label(IGNORED)
            .with_label_smoothing(0.1)
            .and_then(|loss| loss.with_class_weights(vec![0.5, 2.0, 1.0]))
            .unwrap()
    };
    let weighted = |loss: BinaryCrossEntropy| {
        let loss = loss.with_positive_weights(vec![3.0, 0.5, 0.0]).unwrap();
        loss.with_label_smoothing(0.1).unwrap()
    };
    for reduction in [Reduction::Mean, Reduction::Sum] {
        let mut plain = SoftmaxWithLoss::new()
            .with_ignored_label(IGNORED)
            .with_reduction(reduction);
        check("plain softmax", &mut plain, &x, (&labels[..]).into());
        let mut loss = softmax().with_reduction(reduction);
        check("softmax", &mut loss, &x, (&labels[..]).into());
        check("soft softmax", &mut loss, &x, targets.view().into());
        let mut loss = weighted(BinaryCrossEntropy::on_logits()).with_reduction(reduction);
        check("logits", &mut loss, &x, targets.view().into());
        let mut loss = weighted(BinaryCrossEntropy::on_probabilities()).with_reduction(reduction);
        check("probabilities", &mut loss, &p, targets.view().into());
        let mut loss = MeanSquaredError::new().with_reduction(reduction);
        check("squared", &mut loss, &x, t.view().into());
        let mut loss = MeanAbsoluteError::new().with_reduction(reduction);
        check("absolute", &mut loss, &x, t.view().into());
        let mut loss = Huber::new(1.25).unwrap().with_reduction(reduction);
        check("huber", &mut loss, &x, t.view().into());
    }
}

#[test]
fn gradients_agree_with_central_differences() {
    every_loss(|name, loss, x, t| {
        loss.forward(x.view(), t).unwrap();
        let dx = gradient(loss, x.view(), t);
        for (place, &got) in dx.indexed_iter() {
            let mut at = |step: f64| {
                let mut x = x.clone();
                x[place] += step;
                loss.forward(x.view(), t).unwrap()
            };
            let want = (at(1e-6) - at(-1e-6)) / 2e-6;
            let error = (got - want).abs() / want.abs().max(1.0);
            assert!(error < 1e-6, "{name} {place:?}: {got} {want}");
        }
    });
}

fn part<'a>(x: ArrayView2<'a, f64>, from: usize, to: usize) -> ArrayView2<'a, f64> {
    x.slice_axis_move(Axis(0), Slice::from(from..to))
}

fn rows<'a>(t: Targets<'a, f64>, from: usize, to: usize) -> Targets<'a, f64> {
    match t {
        Targets::Labels(labels) => Targets::Labels(&labels[from..to]),
        Targets::Dense(values) => Targets::Dense(part(values, from, to)),
    }
}

/// The only label of the second part is ignored.
#[test]
fn the_parts_of_a_batch_combine_by_their_weights() {
    every_loss(|name, loss, x, t| {
        let whole = loss.forward(x.view(), t).unwrap();
        let whole_dx = gradient(loss, x.view(), t);
        let weight = loss.weight(6, 3, t);
        let mut sum = 0.0;
        for (from, to) in [(0, 1), (1, 2), (2, 4), (4, 6)] {
            let (x, t) = (part(x.view(), from, to), rows(t, from, to));
            let share = loss.weight(to - from, 3, t) / weight;
            sum += share * loss.forward(x, t).unwrap();
            let dx = gradient(loss, x, t) * share;
            let want = part(whole_dx.view(), from, to);
            assert_close(name, &dx, want, 1e-15);
        }
        assert_close(name, [&sum], [&whole], 1e-14);
    });
}

#[test]
fn the_weight_is_what_the_mean_divides_by() {
    let labels = [0, IGNORED, 2];
    let t = Targets::<f64>::Labels(&labels);
    let loss = SoftmaxWithLoss::<f64>::new().with_ignored_label(IGNORED);
    assert_eq!(loss.weight(3, 3, t), 2.0);
    let weighted = loss.with_class_weights(vec![0.5, 2.0, 4.0]).unwrap();
    assert_eq!(weighted.weight(3, 3, t), 4.5);
    let sum = weighted.clone().with_reduction(Reduction::Sum);
    assert_eq!(sum.weight(3, 3, t), 1.0);
    let dense = array![[0.0, 0.5, 0.5]];
    assert_eq!(weighted.weight(1, 3, dense.view().into()), 3.0);
    // Labels that `check` refuses do not panic.
    assert_eq!(weighted.weight(1, 3, Targets::Labels(&[usize::MAX])), 0.0);
    assert_eq!(
        BinaryCrossEntropy::on_logits().weight(1, 3, dense.view().into()),
        1.0
    );
}

#[test]
fn if_all_labels_are_ignored_loss_and_gradient_are_zero() {
    for reduction in [Reduction::Mean, Reduction::Sum] {
        for smoothing in [0.0, 0.1] {
            let mut loss = SoftmaxWithLoss::new()
                .with_ignored_label(IGNORED)
                .with_reduction(reduction)
                .with_label_smoothing(smoothing)
                .unwrap();
            // Whatever the outputs are.
            let x = array![[1.0, f64::NAN], [f64::INFINITY, 0.0]];
            let t = Targets::Labels(&[IGNORED; 2]);
            assert_eq!(loss.forward(x.view(), t).unwrap(), 0.0);
            assert_eq!(gradient(&loss, x.view(), t), Array2::<f64>::zeros((2, 2)));
        }
    }
}

#[test]
fn an_ignored_row_may_hold_any_values() {
    for smoothing in [0.0, 0.1] {
        let mut loss = SoftmaxWithLoss::new()
            .with_ignored_label(1)
            .with_label_smoothing(smoothing)
            .unwrap();
        let x = array![[1.0, f64::NAN], [0.5, 0.25]];
        let counted = part(x.view(), 1, 2);
        let want = loss.forward(counted, Targets::Labels(&[0])).unwrap();
        let want_dx = gradient(&loss, counted, Targets::Labels(&[0]));
        // Here the ignored label is also a class.
        let t = Targets::Labels(&[1, 0]);
        assert_eq!(loss.forward(x.view(), t).unwrap(), want);
        let dx = gradient(&loss, x.view(), t);
        assert_eq!(dx.row(0), array![0.0, 0.0]);
        assert_eq!(dx.row(1), want_dx.row(0));
    }
}

#[test]
fn only_the_ignored_label_may_be_out_of_range() {
    let mut loss = SoftmaxWithLoss::new().with_ignored_label(IGNORED);
    let x = array![[0.0, 1.0], [0.0, 1.0]];
    let error = loss
        .forward(x.view(), Targets::Labels(&[IGNORED, IGNORED + 1]))
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::LabelOutOfRange {
                row: 1,
                label: 8,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn an_empty_batch_has_a_loss_of_zero() {
    let x = Array2::<f64>::zeros((0, 3));
    let none = || x.view().into();
    let mut softmax = SoftmaxWithLoss::new();
    assert_eq!(softmax.forward(x.view(), none()).unwrap(), 0.0);
    assert_eq!(
        softmax.forward(x.view(), Targets::Labels(&[])).unwrap(),
        0.0
    );
    let mut binary = BinaryCrossEntropy::on_logits();
    assert_eq!(binary.forward(x.view(), none()).unwrap(), 0.0);
    let mut huber = Huber::default();
    assert_eq!(huber.forward(x.view(), none()).unwrap(), 0.0);
    assert_eq!(gradient(&huber, x.view(), none()).dim(), (0, 3));
}

#[test]
fn a_nan_is_not_hidden() {
    let (x, t) = (array![[f64::NAN, 0.0]], array![[0.0, 0.0]]);
    let losses: [Box<dyn Loss<f64>>; 3] = [
        Box::new(MeanSquaredError::new()),
        Box::new(MeanAbsoluteError::new()),
        Box::new(Huber::default()),
    ];
    for mut loss in losses {
        assert!(loss.forward(x.view(), t.view().into()).unwrap().is_nan());
        assert!(gradient(&*loss, x.view(), t.view().into())[[0, 0]].is_nan());
    }
    // And an infinity has a loss of infinity.
    let x = array![[f64::INFINITY, 0.0]];
    let mut huber = Huber::default();
    assert_eq!(
        huber.forward(x.view(), t.view().into()).unwrap(),
        f64::INFINITY
    );
    assert_eq!(gradient(&huber, x.view(), t.view().into())[[0, 0]], 0.5);
}

#[test]
fn the_books_name_is_the_mean_squared_error() {
    let mut loss: MeanSquaredError = IdentityWithLoss::default();
    let x = array![[3.0f32]];
    let error = loss
        .forward(x.view(), Targets::Labels(&[0]))
        .unwrap_err()
        .to_string();
    let want = "MeanSquaredError: expected values of shape [1, 1], got 1 labels";
    assert_eq!(error, want);
}

#[test]
fn settings_out_of_range_are_refused() {
    for delta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = Huber::new(delta).unwrap_err().to_string();
        assert!(
            error.starts_with("Huber's delta must be a finite number above 0"),
            "{error}"
        );
    }
    for weight in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(
            BinaryCrossEntropy::on_logits()
                .with_positive_weights(vec![1.0, weight])
                .is_err()
        );
    }
    let mut loss = BinaryCrossEntropy::on_logits()
        .with_positive_weights(vec![1.0; 3])
        .unwrap();
    let x = array![[0.0, 1.0]];
    let error = loss.forward(x.view(), x.view().into()).unwrap_err();
    let want = "BinaryCrossEntropy: expected 2 positive weights, one for each output, got 3";
    assert_eq!(error.to_string(), want);
}

#[test]
fn each_loss_has_metrics_that_take_what_it_takes() {
    let value = |loss: &dyn Loss<f64>, x: &Array2<f64>, t: Targets<'_, f64>| {
        let metrics = loss.metrics().into_iter();
        let values = metrics.map(|mut metric| {
            metric.check(x.nrows(), x.ncols(), t).unwrap();
            metric.update(x.view(), t).unwrap();
            (metric.name(), metric.value())
        });
        values.collect::<Vec<_>>()
    };
    let accuracy = |value: f64| vec![("accuracy".to_owned(), value)];
    let x = array![[0.2, 0.6], [0.9, 0.4], [0.4, 0.1]];
    let labels = Targets::Labels(&[1, IGNORED, 1]);
    let softmax = SoftmaxWithLoss::new().with_ignored_label(IGNORED);
    assert_eq!(value(&softmax, &x, labels), accuracy(0.5));
    let t = array![[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]];
    let logits = BinaryCrossEntropy::on_logits();
    assert_eq!(value(&logits, &x, t.view().into()), accuracy(2.0 / 6.0));
    let probabilities = BinaryCrossEntropy::on_probabilities();
    assert_eq!(value(&probabilities, &x, t.view().into()), accuracy(1.0));
    let huber = value(&Huber::default(), &t, t.view().into());
    assert_eq!(huber, [("MAE".to_owned(), 0.0), ("R2".to_owned(), 1.0)]);
}
