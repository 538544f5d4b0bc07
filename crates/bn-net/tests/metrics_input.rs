//! Metrics of outputs that are NaN or infinite, of no rows, and of targets that do not fit.

use bn_net::{
    Accuracy, Auc, Average, BinaryAccuracy, ConfusionMatrix, Error, F1, Mae, Metric, Mse,
    Precision, R2Score, Recall, Rmse, Targets, TopK, roc_curve,
};
use bn_tensor::Error as TensorError;
use ndarray::{Array2, ArrayView2, Axis, array};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

fn every_metric() -> Vec<Box<dyn Metric<f64>>> {
    vec![
        Box::new(Accuracy::new()),
        Box::new(TopK::new(2).unwrap()),
        Box::new(BinaryAccuracy::on_logits()),
        Box::new(BinaryAccuracy::on_probabilities().per_row()),
        Box::new(Precision::new(Average::Macro)),
        Box::new(Recall::new(Average::Binary)),
        Box::new(F1::new(Average::Weighted).with_threshold(0.0).unwrap()),
        Box::new(Auc::new()),
        Box::new(ConfusionMatrix::new(2).unwrap()),
        Box::new(Mae::new()),
        Box::new(Mse::new()),
        Box::new(Rmse::new()),
        Box::new(R2Score::new()),
    ]
}

#[test]
fn of_no_rows_the_value_is_nan() {
    let none = Array2::zeros((0, 2));
    for mut metric in every_metric() {
        assert!(metric.value().is_nan(), "{metric:?}");
        metric.update(none.view(), none.view().into()).unwrap();
        assert!(metric.value().is_nan(), "{metric:?}");
    }
}

#[test]
fn targets_that_do_not_fit_are_refused_and_change_nothing() {
    let y = array![[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]];
    let t = array![[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]];
    let fewer = array![[1.0, 0.0]];
    let wider = array![[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let wrong: [Targets<'_, f64>; 4] = [
        fewer.view().into(),
        wider.view().into(),
        Targets::Labels(&[0, 1]),
        Targets::Labels(&[0, 1, 2]),
    ];
    for mut metric in every_metric() {
        metric.update(y.view(), t.view().into()).unwrap();
        let before = (metric.value().to_bits(), format!("{metric:?}"));
        for t in wrong {
            let refused = [
                metric.check(3, 2, t).unwrap_err(),
                metric.update(y.view(), t).unwrap_err(),
            ];
            for error in refused {
                assert!(
                    matches!(error, Error::Targets { .. } | Error::LabelOutOfRange { .. }),
                    "{error}"
                );
            }
            assert_eq!(before, (metric.value().to_bits(), format!("{metric:?}")));
        }
    }
}

fn is_setting(result: Result<(), Error>) -> bool {
    matches!(
        result,
        Err(Error::Tensor(TensorError::InvalidSetting { .. }))
    )
}

#[test]
fn target_values_out_of_range_are_refused() {
    let y = array![[0.9, 0.1]];
    let nan = array![[NAN, 0.0]];
    let two = array![[2.0, 0.0]];
    let mut accuracy: Box<dyn Metric<f64>> = Box::new(Accuracy::new());
    assert!(is_setting(accuracy.update(y.view(), nan.view().into())));
    let mut binary: Box<dyn Metric<f64>> = Box::new(BinaryAccuracy::on_logits());
    assert!(is_setting(binary.update(y.view(), nan.view().into())));
    assert!(is_setting(binary.update(y.view(), two.view().into())));
}

/// A metric, outputs that do not fit it, and the message.
type Case<'a> = (Box<dyn Metric<f64>>, &'a Array2<f64>, &'a str);

#[test]
fn a_number_of_outputs_that_does_not_fit_is_refused() {
    let (one, three) = (Array2::<f64>::zeros((2, 1)), Array2::<f64>::zeros((2, 3)));
    let labels = || Targets::<f64>::Labels(&[0, 1]);
    let message = |mut metric: Box<dyn Metric<f64>>, y: &Array2<f64>| {
        metric.update(y.view(), labels()).unwrap_err().to_string()
    };
    let cases: [Case<'_>; 7] = [
        (
            Box::new(TopK::new(4).unwrap()),
            &three,
            "TopK: expected at least 4 outputs, got 3",
        ),
        (
            Box::new(Recall::new(Average::Macro)),
            &one,
            "recall: expected at least 2 outputs, or one and a threshold (`with_threshold`), got 1 output",
        ),
        (
            Box::new(F1::binary(0.5).unwrap()),
            &three,
            "F1: expected outputs of two classes, or another `Average`, got 3 outputs",
        ),
        (
            Box::new(Auc::new()),
            &three,
            "Auc: expected 1 output or 2, got 3 outputs",
        ),
        (
            Box::new(BinaryAccuracy::on_logits()),
            &three,
            "BinaryAccuracy: expected values of shape [2, 3], or labels of one output, got 2 labels",
        ),
        (
            Box::new(ConfusionMatrix::new(2).unwrap()),
            &three,
            "ConfusionMatrix: expected outputs of 2 classes, got 3 outputs",
        ),
        (
            Box::new(ConfusionMatrix::new(2).unwrap()),
            &one,
            "ConfusionMatrix: expected at least 2 outputs, or one and a threshold (`with_threshold`), got 1 output",
        ),
    ];
    for (metric, y, want) in cases {
        assert_eq!(message(metric, y), want);
    }
    // Not the number of the rows before.
    let two = Array2::<f64>::zeros((2, 2));
    let mut recall: Box<dyn Metric<f64>> = Box::new(Recall::new(Average::Macro));
    let mut r2: Box<dyn Metric<f64>> = Box::new(R2Score::new());
    recall.update(three.view(), labels()).unwrap();
    recall.update(two.view(), labels()).unwrap_err();
    recall.reset();
    recall.update(two.view(), labels()).unwrap();
    r2.update(three.view(), three.view().into()).unwrap();
    r2.update(two.view(), two.view().into()).unwrap_err();
    r2.reset();
    r2.update(two.view(), two.view().into()).unwrap();
}

#[test]
fn settings_out_of_range_are_refused() {
    assert!(TopK::new(0).is_err());
    assert!(TopK::new(usize::MAX).is_ok());
    assert!(BinaryAccuracy::on_logits().with_threshold(NAN).is_err());
    assert!(Precision::binary(NAN).is_err());
    let matrix = ConfusionMatrix::new(2).unwrap();
    assert!(matrix.with_threshold(NAN).is_err());
}

#[test]
fn widths_for_which_there_is_no_memory() {
    let y = ArrayView2::<f32>::from_shape((0, 1 << 60), &[]).unwrap();
    let metrics: [Box<dyn Metric<f32>>; 2] =
        [Box::new(F1::new(Average::Macro)), Box::new(R2Score::new())];
    for mut metric in metrics {
        let error = metric.update(y, y.into()).unwrap_err();
        let is_too_large = matches!(error, Error::Tensor(TensorError::TooLarge { .. }));
        assert!(is_too_large, "{error}");
    }
}

#[test]
fn a_nan_among_the_outputs_counts_as_wrong() {
    let y = array![[1.0, 0.0], [NAN, 0.0], [0.0, 1.0], [1.0, NAN]];
    let labels = Targets::Labels(&[0, 1, 1, 0]);
    let t = array![[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [1.0, 0.0]];
    let of_labels = |metric: &mut dyn Metric<f64>| {
        metric.update(y.view(), labels).unwrap();
        metric.value()
    };
    assert_eq!(of_labels(&mut Accuracy::new()), 0.5);
    assert_eq!(of_labels(&mut TopK::new(2).unwrap()), 0.5);
    assert_eq!(of_labels(&mut ConfusionMatrix::new(2).unwrap()), 0.5);
    // Without a prediction, a row lowers the recall of its class and no precision.
    assert_eq!(of_labels(&mut Recall::new(Average::Macro)), 0.5);
    assert_eq!(of_labels(&mut Precision::new(Average::Macro)), 1.0);
    let accuracy = BinaryAccuracy::on_probabilities();
    assert_eq!(
        accuracy
            .clone()
            .evaluate(y.view(), t.view().into())
            .unwrap(),
        0.75
    );
    assert_eq!(
        accuracy
            .per_row()
            .evaluate(y.view(), t.view().into())
            .unwrap(),
        0.5
    );
    // What cannot count a row as wrong is NaN.
    assert!(of_labels(&mut Auc::new()).is_nan());
    for mut metric in every_metric().into_iter().skip(9) {
        metric.update(y.view(), t.view().into()).unwrap();
        assert!(metric.value().is_nan(), "{metric:?}");
    }
}

#[test]
fn infinite_outputs_are_ordered_like_others() {
    let y = array![[INF], [-INF], [0.0], [-0.0]];
    let labels = Targets::Labels(&[1, 0, 1, 0]);
    let accuracy = BinaryAccuracy::on_logits()
        .evaluate(y.view(), labels)
        .unwrap();
    assert_eq!(accuracy, 0.75);
    // 0 and −0 are a tie.
    assert_eq!(Auc::new().evaluate(y.view(), labels).unwrap(), 3.5 / 4.0);
    let curve = roc_curve(&[1, 0, 1, 0], y.column(0)).unwrap();
    assert_eq!(curve.tpr, [0.0, 0.5, 1.0, 1.0]);
    assert_eq!(curve.fpr, [0.0, 0.0, 0.5, 1.0]);
    assert_eq!(curve.thresholds, [INF, INF, 0.0, -INF]);
}

#[test]
fn of_one_class_the_auc_is_nan_and_the_curve_is_refused() {
    let y = array![[0.1], [0.7]];
    for label in [0, 1] {
        let labels = [label; 2];
        let auc = Auc::new().evaluate(y.view(), Targets::Labels(&labels));
        assert!(auc.unwrap().is_nan());
        let error = roc_curve(&labels, y.column(0)).unwrap_err().to_string();
        assert!(error.contains("expected labels of both classes"), "{error}");
    }
    assert!(roc_curve::<f64>(&[], array![].view()).is_err());
    assert!(roc_curve(&[0, 1, 1], y.column(0)).is_err());
    let error = roc_curve(&[0, 1, 2], array![0.1, 0.2, 0.3].view()).unwrap_err();
    assert!(matches!(error, Error::LabelOutOfRange { row: 2, .. }));
    let error = roc_curve(&[0, 1], array![0.5, NAN].view()).unwrap_err();
    assert!(
        error.to_string().contains("a score must be a number"),
        "{error}"
    );
}

#[test]
fn an_ignored_label_does_not_count() {
    const IGNORED: usize = 255;
    let y = array![[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]];
    let labels = Targets::Labels(&[0, IGNORED, 0]);
    let metrics: [Box<dyn Metric<f64>>; 3] = [
        Box::new(Accuracy::new().with_ignored_label(IGNORED)),
        Box::new(TopK::new(1).unwrap().with_ignored_label(IGNORED)),
        Box::new(Recall::new(Average::Micro).with_ignored_label(IGNORED)),
    ];
    for mut metric in metrics {
        metric.update(y.view(), labels).unwrap();
        assert_eq!(metric.value(), 0.5, "{metric:?}");
        let error = metric.update(y.view(), Targets::Labels(&[0, 254, 0]));
        assert!(matches!(
            error,
            Err(Error::LabelOutOfRange { label: 254, .. })
        ));
    }
}

#[test]
fn equal_outputs_are_ordered_by_their_index() {
    let y = array![[0.5, 0.5, 0.5]];
    for label in 0..3 {
        let labels = [label];
        for k in 1..4 {
            let value = TopK::new(k)
                .unwrap()
                .evaluate(y.view(), Targets::Labels(&labels));
            assert_eq!(value.unwrap(), f64::from(u8::from(label < k)));
        }
        let value = Accuracy::new().evaluate(y.view(), Targets::Labels(&labels));
        assert_eq!(value.unwrap(), f64::from(u8::from(label == 0)));
    }
}

#[test]
fn r2_is_accurate_for_a_large_mean() {
    let t = Array2::from_shape_fn((1000, 1), |(n, _)| 1e8 + (n % 2) as f64);
    let y = t.mapv(|t| t + 0.25);
    let r2 = R2Score::new().evaluate(y.view(), t.view().into()).unwrap();
    assert!((r2 - 0.75).abs() < 1e-9, "{r2}");
    // Of one row it is undefined.
    let one = array![[1.0]];
    let r2 = R2Score::new().evaluate(y.view().split_at(Axis(0), 1).0, one.view().into());
    assert!(r2.unwrap().is_nan());
}
