//! The outputs of networks as probabilities and labels.

use bn_net::{Error, Network, NetworkBuilder};
use ndarray::{Array2, Axis, array};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

#[test]
fn probabilities_and_labels_of_one_output() {
    let x = array![
        [-1e4],
        [-3f64.ln()],
        [0.0],
        [3f64.ln()],
        [1e4],
        [INF],
        [NAN]
    ];
    let p = [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, NAN];
    let close = |got: Array2<f64>| {
        got.iter()
            .zip(&p)
            .all(|(got, want)| (got - want).abs() < 1e-15 || got.is_nan() && want.is_nan())
    };
    let logits = NetworkBuilder::<f64>::new(1).identity().build(1).unwrap();
    let sigmoid = NetworkBuilder::<f64>::new(1).sigmoid().build(1).unwrap();
    for network in [logits, sigmoid] {
        assert!(close(network.predict_proba(x.view()).unwrap()));
        let numbers = x.view().split_at(Axis(0), 6).0;
        let labels = network.predict_labels(numbers).unwrap();
        assert_eq!(labels, [0, 0, 0, 1, 1, 1]);
        let accuracy = network.accuracy(numbers, &[0, 0, 1, 1, 1, 0]).unwrap();
        assert_eq!(accuracy, 4.0 / 6.0);
        let matrix = network.confusion_matrix(numbers, &[0, 0, 1, 1, 1, 0]);
        assert_eq!(matrix.unwrap().counts(), array![[2, 1], [1, 2]]);
        assert!(network.accuracy(numbers, &[0, 0, 2, 1, 1, 0]).is_err());
        let error = network.predict_labels(x.view()).unwrap_err().to_string();
        assert_eq!(error, "the output of row 6 is not finite (NaN or infinity)");
        let none = network.predict_labels(Array2::zeros((0, 1)).view());
        assert!(none.unwrap_err().to_string().contains("the batch is empty"));
    }
}

#[test]
fn probabilities_of_networks_that_end_with_a_softmax() {
    let x = array![[0.5, -1.0, 2.0], [100.0, 0.0, 100.0]];
    let builder = || NetworkBuilder::<f64>::new(3);
    let want = builder()
        .identity()
        .build(1)
        .unwrap()
        .predict_proba(x.view())
        .unwrap();
    for (builder, tolerance) in [
        (builder().softmax(), 1e-16),
        (builder().log_softmax(), 1e-15),
    ] {
        let network = builder.build(1).unwrap();
        let got = network.predict_proba(x.view()).unwrap();
        assert!((got - &want).iter().all(|d| d.abs() <= tolerance));
        assert_eq!(network.predict_labels(x.view()).unwrap(), [2, 0]);
    }
    // Of each pixel of an image, here two of two classes.
    let image = NetworkBuilder::<f64>::new((1, 2, 2)).log_softmax();
    let x = array![[0.0, 0.0, 5.0, -5.0]];
    let got = image.build(1).unwrap().predict_proba(x.view()).unwrap();
    assert!((got[[0, 0]] - 0.5).abs() < 1e-15 && got[[0, 2]] > 0.999);
    // Several labels at once.
    let x = array![[0.5, -1.0, 2.0]];
    let sigmoid = builder().sigmoid().build(1).unwrap();
    let got = sigmoid.predict_proba(x.view()).unwrap();
    assert_eq!(got, sigmoid.predict(x.view()).unwrap());
}

#[test]
fn labels_of_more_rows_than_fit_into_memory_are_refused() {
    let network = Network::builder(1).affine(1).build(1).unwrap();
    let row = Array2::<f32>::ones((1, 1));
    let rows = row.broadcast((1 << 61, 1)).unwrap();
    let error = network.predict_labels(rows).unwrap_err();
    let is_too_large = matches!(error, Error::Tensor(bn_tensor::Error::TooLarge { .. }));
    assert!(is_too_large, "{error}");
}
