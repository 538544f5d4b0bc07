//! The metrics against scikit-learn and Keras, and in parts of an evaluation.

use crate::common::{assert_close, labels, matrix, number, numbers, parse};
use bn_net::{
    Accuracy, Auc, Average, BinaryAccuracy, ClassScore, ConfusionMatrix, F1, Mae, Metric, Mse,
    Precision, R2Score, Recall, Rmse, ScoreFunction, Targets, TopK, roc_curve,
};
use bn_tensor::Scalar;
use ndarray::{Array2, ArrayView2, Axis, Slice};
use serde_json::Value;

fn file() -> Value {
    parse(include_str!("golden/metrics.json"))
}

fn average(name: &str) -> Average {
    match name {
        "binary" => Average::Binary,
        "macro" => Average::Macro,
        "micro" => Average::Micro,
        "weighted" => Average::Weighted,
        other => panic!("{other}"),
    }
}

fn score<T: Scalar, F: ScoreFunction + 'static>(
    score: ClassScore<F>,
    threshold: Option<f64>,
) -> Box<dyn Metric<T>> {
    match threshold {
        Some(threshold) => Box::new(score.with_threshold(threshold).unwrap()),
        None => Box::new(score),
    }
}

/// The metric of a value in the golden file.
fn metric<T: Scalar>(section: &str, name: &str) -> Box<dyn Metric<T>> {
    let threshold = (section != "classes").then_some(0.0);
    match (section, name) {
        ("classes", "accuracy") => Box::new(Accuracy::new()),
        ("classes", "top-2 accuracy") => Box::new(TopK::new(2).unwrap()),
        ("classes", "keras top-3") => Box::new(TopK::new(3).unwrap()),
        ("binary", "accuracy") | ("labels", "keras accuracy") => {
            Box::new(BinaryAccuracy::on_logits())
        }
        ("labels", "subset accuracy") => Box::new(BinaryAccuracy::on_logits().per_row()),
        ("binary", "AUC") => Box::new(Auc::new()),
        ("regression", "MAE") => Box::new(Mae::new()),
        ("regression", "MSE") => Box::new(Mse::new()),
        ("regression", "RMSE" | "keras RMSE") => Box::new(Rmse::new()),
        ("regression", "R2") => Box::new(R2Score::new()),
        (_, name) => match name.split_once(' ').unwrap() {
            (of, "precision") => score(Precision::new(average(of)), threshold),
            (of, "recall") => score(Recall::new(average(of)), threshold),
            (of, "F1") => score(F1::new(average(of)), threshold),
            other => panic!("{other:?}"),
        },
    }
}

fn rows<T>(x: ArrayView2<'_, T>, from: usize, to: usize) -> ArrayView2<'_, T> {
    x.slice_axis_move(Axis(0), Slice::from(from..to))
}

/// The targets of a case: labels, or values.
enum Case<T> {
    Labels(Vec<usize>),
    Values(Array2<T>),
}

impl<T: Scalar> Case<T> {
    fn new(case: &Value) -> Self {
        match numbers(&case["t"]["shape"]).len() {
            1 => Self::Labels(labels(&case["t"])),
            _ => Self::Values(matrix(&case["t"]).mapv(T::from_f64)),
        }
    }

    /// Those of some rows.
    fn rows(&self, from: usize, to: usize) -> Targets<'_, T> {
        match self {
            Self::Labels(labels) => Targets::Labels(&labels[from..to]),
            Self::Values(values) => Targets::Dense(rows(values.view(), from, to)),
        }
    }
}

/// Calls `check(section, case, name of a value)` for each value in the golden file.
fn each_value(mut check: impl FnMut(&str, &Value, &str)) {
    let mut values = 0;
    for section in ["classes", "binary", "labels", "regression"] {
        for case in file()[section].as_array().unwrap() {
            for name in case["values"].as_object().unwrap().keys() {
                check(section, case, name);
                values += 1;
            }
        }
    }
    assert_eq!(values, 2 * 12 + 3 * 14 + 2 * 11 + 3 * 5);
}

fn golden<T: Scalar>() {
    each_value(|section, case, name| {
        let y = matrix(&case["y"]).mapv(T::from_f64);
        let t = Case::<T>::new(case);
        let mut metric = metric::<T>(section, name);
        metric.update(y.view(), t.rows(0, y.nrows())).unwrap();
        // Keras computes in f32.
        let tolerance = if name.starts_with("keras") {
            1e-6
        } else {
            1e-12
        };
        let what = format!("{section}, {}: {name}", case["name"]);
        let want = number(&case["values"][name]);
        assert_close(&what, [&metric.value()], [&want], tolerance);
    });
}

/// The inputs are numbers that f32 holds exactly, and metrics accumulate in f64.
#[test]
fn they_agree_with_scikit_learn_and_keras() {
    golden::<f64>();
    golden::<f32>();
}

#[test]
fn the_value_does_not_depend_on_the_cuts_between_calls() {
    each_value(|section, case, name| {
        let (y, t) = (matrix(&case["y"]), Case::<f64>::new(case));
        let n = y.nrows();
        let mut metric = metric::<f64>(section, name);
        metric.update(y.view(), t.rows(0, n)).unwrap();
        let want = metric.value();
        for cuts in [vec![0, 1, 2, 7, n], vec![0, 0, n - 1, n]] {
            metric.reset();
            assert!(metric.value().is_nan(), "{name}");
            for cut in cuts.windows(2) {
                let (from, to) = (cut[0], cut[1]);
                let y = rows(y.view(), from, to);
                metric.update(y, t.rows(from, to)).unwrap();
                let _ = metric.value(); // reading it changes nothing
            }
            assert_eq!(metric.value().to_bits(), want.to_bits(), "{name}");
        }
    });
}

#[test]
fn the_roc_curve_is_that_of_scikit_learn() {
    for case in file()["binary"].as_array().unwrap() {
        let (scores, labels) = (matrix(&case["y"]), labels(&case["t"]));
        let curve = roc_curve(&labels, scores.column(0)).unwrap();
        assert_close("fpr", &curve.fpr, &numbers(&case["roc"]["fpr"]), 1e-15);
        assert_close("tpr", &curve.tpr, &numbers(&case["roc"]["tpr"]), 1e-15);
        assert_eq!(curve.thresholds[0], f64::INFINITY);
        assert_eq!(curve.thresholds[1..], numbers(&case["roc"]["thresholds"]));
        // The area under it.
        let points = curve.fpr.windows(2).zip(curve.tpr.windows(2));
        let area: f64 = points
            .map(|(x, y)| (x[1] - x[0]) * (y[0] + y[1]) / 2.0)
            .sum();
        assert_close("area", [&area], [&number(&case["values"]["AUC"])], 1e-14);
    }
}

/// The count of all pairs of a row of class 1 and one of class 0.
#[test]
fn the_auc_is_the_share_of_pairs_in_the_right_order() {
    for levels in [1, 2, 5, 1000] {
        let score = |n: usize| ((n * 7919 + 13) % 1009 % levels) as f64;
        let labels: Vec<usize> = (0..200).map(|n| usize::from(n * 31 % 7 < 3)).collect();
        let (mut pairs, mut ordered) = (0.0, 0.0);
        for (i, _) in labels.iter().enumerate().filter(|&(_, &l)| l == 1) {
            for (j, _) in labels.iter().enumerate().filter(|&(_, &l)| l == 0) {
                pairs += 1.0;
                ordered += match score(i).total_cmp(&score(j)) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                };
            }
        }
        let one = Array2::from_shape_fn((200, 1), |(n, _)| score(n));
        // Of two outputs, the difference is the score.
        let two = Array2::from_shape_fn((200, 2), |(n, k)| k as f64 * score(n) - 3.0);
        for y in [one, two] {
            let auc = Auc::new().evaluate(y.view(), (&labels).into()).unwrap();
            assert_close("AUC", [&auc], [&(ordered / pairs)], 1e-15);
        }
    }
}

#[test]
fn a_confusion_matrix_is_a_metric() {
    for case in file()["classes"].as_array().unwrap() {
        let (y, t) = (matrix(&case["y"]), labels(&case["t"]));
        let mut matrix = ConfusionMatrix::new(y.ncols()).unwrap();
        matrix.update(y.view(), (&t).into()).unwrap();
        assert_eq!(matrix.counts().sum(), 40);
        let want = number(&case["values"]["accuracy"]);
        assert_eq!(Metric::<f64>::value(&matrix), want);
        Metric::<f64>::reset(&mut matrix);
        assert_eq!(matrix, ConfusionMatrix::new(y.ncols()).unwrap());
    }
    let case = &file()["binary"][0];
    let (y, t) = (matrix(&case["y"]), labels(&case["t"]));
    let one_output = ConfusionMatrix::new(2).unwrap();
    let one_output = one_output.with_threshold(0.0).unwrap();
    let value = one_output.evaluate(y.view(), (&t).into()).unwrap();
    assert_eq!(value, number(&case["values"]["accuracy"]));
}

#[test]
fn evaluate_is_of_its_rows_alone() {
    let case = &file()["classes"][0];
    let (y, t) = (matrix(&case["y"]), labels(&case["t"]));
    let mut accuracy = Accuracy::new();
    let half = rows(y.view(), 0, 20);
    accuracy.update(half, Targets::Labels(&t[..20])).unwrap();
    let of_all = accuracy.clone().evaluate(y.view(), (&t).into()).unwrap();
    assert_eq!(of_all, number(&case["values"]["accuracy"]));
    assert_ne!(Metric::<f64>::value(&accuracy), of_all);
}

#[test]
fn names_and_directions() {
    let metrics: [(Box<dyn Metric<f32>>, &str, bool); 9] = [
        (Box::new(Accuracy::new()), "accuracy", true),
        (Box::new(TopK::new(5).unwrap()), "top-5 accuracy", true),
        (Box::new(BinaryAccuracy::on_logits()), "accuracy", true),
        (Box::new(Precision::binary(0.5).unwrap()), "precision", true),
        (Box::new(F1::new(Average::Macro)), "macro F1", true),
        (Box::new(Auc::new()), "AUC", true),
        (Box::new(R2Score::new()), "R2", true),
        (Box::new(Rmse::new()), "RMSE", false),
        (Box::new(Mae::new()), "MAE", false),
    ];
    for (metric, name, higher_is_better) in metrics {
        assert_eq!(metric.name(), name);
        assert_eq!(metric.higher_is_better(), higher_is_better, "{name}");
    }
}
