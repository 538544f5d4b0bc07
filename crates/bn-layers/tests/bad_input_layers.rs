//! Invalid input to Affine, Dropout and the activations: which error they return, with which message,
//! and that a failed call changes nothing.

use crate::common::{counters, random, random_row, settle, state};
use bn_layers::{
    Affine, Dropout, Error, Identity, Layer, LayerExt, LeakyRelu, Mode, Outcome, Pass, Relu, Shape,
    Sigmoid, Tanh,
};
use bn_tensor::Error as TensorError;
use ndarray::{Array1, Array2, Array4, Axis};
use std::fmt::Debug;

const MODES: [Mode; 3] = [Mode::Train, Mode::BatchStats, Mode::Eval];

fn affine() -> Affine<f64> {
    Affine::new(random((3, 4), 1), random_row(4, 0.0, 2)).unwrap()
}

/// Each layer after a valid forward and backward pass of 6 rows, with the width of its output for an
/// input of width 3.
fn layers() -> Vec<(Box<dyn Layer<f64>>, usize)> {
    let mut all: Vec<(Box<dyn Layer<f64>>, _)> = vec![
        (Box::new(affine()), 4),
        (Box::new(Dropout::new(0.5, 3).unwrap()), 3),
        (Box::new(Dropout::book(0.5, 3).unwrap()), 3),
        (Box::new(Relu), 3),
        (Box::new(LeakyRelu::new(0.1).unwrap()), 3),
        (Box::new(Sigmoid), 3),
        (Box::new(Tanh), 3),
        (Box::new(Identity), 3),
    ];
    for (layer, width) in &mut all {
        let y = layer.forward(x().view(), Mode::Train).unwrap();
        let dout = random((6, *width), 5);
        layer.backward(x().view(), y.view(), dout.view()).unwrap();
    }
    all
}

fn x() -> Array2<f64> {
    random((6, 3), 3)
}

/// Returns the error of `call`. The layer's state and its gradient of the last valid batch must not
/// change.
fn refused<R: Debug>(
    (layer, width): &mut (Box<dyn Layer<f64>>, usize),
    call: impl FnOnce(&mut dyn Layer<f64>, usize) -> Result<R, Error>,
) -> Error {
    let dout = random((6, *width), 5);
    let y = random((6, *width), 6);
    let later = |layer: &mut dyn Layer<f64>| {
        let dx = layer.backward(x().view(), y.view(), dout.view()).unwrap();
        (state(layer), counters(layer), dx)
    };
    let before = later(&mut **layer);
    let error = call(&mut **layer, *width).unwrap_err();
    assert_eq!(state(&**layer), before.0, "{error}");
    assert_eq!(later(&mut **layer), before, "{error}");
    error
}

fn is_shape(error: &Error) -> bool {
    matches!(error, Error::Tensor(TensorError::ShapeMismatch { .. }))
}

fn is_setting(error: &Error) -> bool {
    matches!(error, Error::Tensor(TensorError::InvalidSetting { .. }))
}

#[test]
fn shapes_that_do_not_fit() {
    for case in &mut layers() {
        for (y_rows, dout_rows) in [(5, 6), (6, 5)] {
            let error = refused(case, |layer, width| {
                let (y, dout) = (random((y_rows, width), 7), random((dout_rows, width), 7));
                layer.backward(x().view(), y.view(), dout.view())
            });
            assert!(is_shape(&error), "{error}");
        }
        let error = refused(case, |layer, width| {
            let (y, wide) = (random((6, width), 7), random((6, width + 1), 7));
            layer.backward(x().view(), y.view(), wide.view())
        });
        assert!(is_shape(&error), "{error}");
    }
    // Only Affine has a fixed width.
    let case = &mut layers()[0];
    let wide: Array2<f64> = random((6, 5), 7);
    let y = random((6, 4), 7);
    for error in [
        refused(case, |affine, _| affine.forward(wide.view(), Mode::Train)),
        refused(case, |affine, _| affine.eval(wide.view())),
        refused(case, |affine, _| {
            affine.backward(wide.view(), y.view(), y.view())
        }),
        refused(case, |affine, _| affine.output_shape(Shape::Flat(5))),
    ] {
        assert!(is_shape(&error), "{error}");
        assert!(error.to_string().contains("Affine"), "{error}");
    }
}

#[test]
fn an_empty_batch() {
    let is_empty = |e: Error| assert!(matches!(e, Error::EmptyBatch { .. }), "{e}");
    let none = |width| Array2::zeros((0, width));
    for case in &mut layers() {
        for mode in MODES {
            is_empty(refused(case, |layer, _| {
                layer.forward(none(3).view(), mode)
            }));
        }
        is_empty(refused(case, |layer, _| layer.eval(none(3).view())));
        is_empty(refused(case, |layer, width| {
            let y = none(width);
            layer.backward(none(3).view(), y.view(), y.view())
        }));
    }
    let images = Array4::zeros((0, 3, 1, 1));
    let error = affine().forward(images.view(), Mode::Train).unwrap_err();
    assert!(error.to_string().contains("Affine"), "{error}");
    is_empty(error);
}

#[test]
fn weights_that_are_not_in_row_major_order() {
    let is_not_contiguous =
        |e: &Error| matches!(e, Error::Tensor(TensorError::NotContiguous { .. }));
    let turned = random::<f64>((4, 3), 1).reversed_axes();
    let mut backwards = Array1::from(vec![1.0f64, 2.0, 3.0, 4.0]);
    backwards.invert_axis(Axis(0)); // not a slice that an optimizer could update
    for error in [
        Affine::new(turned.clone(), Array1::zeros(4)).unwrap_err(),
        Affine::without_bias(turned).unwrap_err(),
        Affine::new(random((3, 4), 1), backwards).unwrap_err(),
    ] {
        assert!(is_not_contiguous(&error), "{error}");
        assert!(error.to_string().starts_with("Affine::new"), "{error}");
    }
    let error = Affine::new(random::<f64>((3, 4), 1), Array1::zeros(3)).unwrap_err();
    assert!(is_shape(&error), "{error}");
    assert!(error.to_string().contains("Affine::new"), "{error}");
}

#[test]
fn a_dropout_backward_without_its_forward() {
    let mut fresh = Dropout::new(0.5, 3).unwrap();
    let mut warm = fresh.clone();
    warm.forward(x().view(), Mode::Train).unwrap();
    let drawn = warm.seed_and_draws();
    // A different number of rows, also with the same number of values in total, and wider rows.
    for (dropout, expected, dim) in [
        (&mut fresh, 0, (6, 3)),
        (&mut warm.clone(), 6, (4, 3)),
        (&mut warm.clone(), 6, (3, 6)),
        (&mut warm.clone(), 6, (6, 4)),
        (&mut warm, 6, (9, 2)),
    ] {
        let other = random::<f64>(dim, 8);
        let error = dropout.backward(other.view(), other.view(), other.view());
        let error = error.unwrap_err();
        let fits = matches!(
            error,
            Error::NoForward { expected: e, got, .. } if e == expected && got == dim.0
        );
        assert!(fits && error.to_string().contains("Dropout"), "{error}");
    }
    assert_eq!(warm.seed_and_draws(), drawn);
    assert_eq!(fresh.seed_and_draws(), (3, 0));
}

#[test]
fn a_failed_forward_pass_draws_no_mask() {
    let mut dropout = Dropout::new(0.5, 3).unwrap();
    for _ in 0..3 {
        let mut y = random((5, 3), 7);
        let pass = Pass::new(Mode::Train);
        let refused = dropout.forward_into(x().view(), y.view_mut(), &pass);
        assert!(refused.is_err());
        settle::<f64>(&mut dropout, Outcome::TakenBack);
    }
    assert_eq!(dropout.seed_and_draws(), (3, 0));
}

#[test]
fn settings_out_of_range() {
    for bad in [-0.1, f64::NAN, f64::INFINITY] {
        for (error, word) in [
            (Dropout::new(bad, 0).unwrap_err(), "dropout"),
            (Dropout::book(bad, 0).unwrap_err(), "dropout"),
            (LeakyRelu::new(bad).unwrap_err(), "LeakyRelu"),
        ] {
            assert!(is_setting(&error), "{error}");
            assert!(error.to_string().contains(word), "{error}");
        }
    }
    assert!(Dropout::new(1.0, 0).is_err() && LeakyRelu::new(1.1).is_err());
}
