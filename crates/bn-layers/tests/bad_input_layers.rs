//! What Affine, Dropout and the activations refuse, by which error, with which words; and that
//! after a refusal a layer is as it was.

mod common;

use bn_layers::{
    Affine, Dropout, Error, Identity, Layer, LeakyRelu, Mode, Relu, Shape, Sigmoid, Tanh,
};
use bn_tensor::Error as TensorError;
use common::{random, random_row, state};
use ndarray::{Array1, Array2, Array4, ArrayView2, ArrayViewMut2};

const MODES: [Mode; 3] = [Mode::Train, Mode::BatchStats, Mode::Eval];

fn affine() -> Affine<f64> {
    Affine::new(random((3, 4), 1), random_row(4, 0.0, 2)).unwrap()
}

/// Each layer with the name that its messages bear, and the width of its output for an input
/// of 3; each after a good forward and backward pass of 6 rows.
fn layers() -> Vec<(&'static str, Box<dyn Layer<f64>>, usize)> {
    let mut all: Vec<(_, Box<dyn Layer<f64>>, _)> = vec![
        ("Affine", Box::new(affine()), 4),
        ("Dropout", Box::new(Dropout::new(0.5, 3).unwrap()), 3),
        ("Dropout", Box::new(Dropout::book(0.5, 3).unwrap()), 3),
        ("activation", Box::new(Relu), 3),
        ("activation", Box::new(LeakyRelu::new(0.1).unwrap()), 3),
        ("activation", Box::new(Sigmoid), 3),
        ("activation", Box::new(Tanh), 3),
        ("activation", Box::new(Identity), 3),
    ];
    for (_, layer, width) in &mut all {
        let y = layer.forward(x().view(), Mode::Train).unwrap();
        let dout = random((6, *width), 5);
        layer.backward(x().view(), y.view(), dout.view()).unwrap();
    }
    all
}

fn x() -> Array2<f64> {
    random((6, 3), 3)
}

/// The error of `call`; the layer's state, and its gradient of the last good batch, must stay.
fn refused(
    (name, layer, width): &mut (&'static str, Box<dyn Layer<f64>>, usize),
    call: impl FnOnce(&mut dyn Layer<f64>, usize) -> Result<(), Error>,
) -> Error {
    let dout = random((6, *width), 5);
    let y = random((6, *width), 6);
    let later = |layer: &mut dyn Layer<f64>| {
        let dx = layer.backward(x().view(), y.view(), dout.view()).unwrap();
        (state(layer), dx)
    };
    let before = later(&mut **layer);
    let error = call(&mut **layer, *width).expect_err(name);
    assert_eq!(state(&**layer), before.0, "{error}");
    assert_eq!(later(&mut **layer), before, "{error}");
    assert!(error.to_string().contains(*name), "{name}: {error}");
    error
}

fn is_shape(error: &Error) -> bool {
    matches!(error, Error::Tensor(TensorError::ShapeMismatch { .. }))
}

/// `call` with the elements of `of` in column-major order, to read or to write.
fn column_major<R>(of: Array2<f64>, call: impl FnOnce(ArrayViewMut2<'_, f64>) -> R) -> R {
    let mut turned = of.t().as_standard_layout().into_owned();
    call(turned.view_mut().reversed_axes())
}

#[test]
fn shapes_that_do_not_fit() {
    for case in &mut layers() {
        for mode in MODES {
            let error = refused(case, |layer, width| {
                layer.forward_into(x().view(), mode, random((6, width + 1), 7).view_mut())
            });
            assert!(is_shape(&error), "{error}");
        }
        let error = refused(case, |layer, width| {
            let mut y = random((5, width), 7);
            layer.eval_into(x().view(), y.view_mut(), &mut Vec::new())
        });
        assert!(is_shape(&error), "{error}");
        for (dout_rows, dx_rows) in [(5, 6), (6, 5)] {
            let error = refused(case, |layer, width| {
                let (y, dout) = (random((6, width), 7), random((dout_rows, width), 7));
                let mut dx = random((dx_rows, 3), 7);
                layer.backward_into(x().view(), y.view(), dout.view(), Some(dx.view_mut()))
            });
            assert!(is_shape(&error), "{error}");
        }
    }
    // Only Affine has a width of its own.
    let case = &mut layers()[0];
    let wide: Array2<f64> = random((6, 5), 7);
    let y = random((6, 4), 7);
    for error in [
        refused(case, |affine, _| {
            affine.forward(wide.view(), Mode::Train).map(drop)
        }),
        refused(case, |affine, _| {
            affine.eval_into(wide.view(), y.clone().view_mut(), &mut Vec::new())
        }),
        refused(case, |affine, _| {
            affine.backward(wide.view(), y.view(), y.view()).map(drop)
        }),
        refused(case, |affine, _| {
            affine.output_shape(Shape::Flat(5)).map(drop)
        }),
    ] {
        assert!(is_shape(&error), "{error}");
    }
}

#[test]
fn an_empty_batch() {
    let is_empty = |e: Error| assert!(matches!(e, Error::EmptyBatch { .. }), "{e}");
    let none = |width| Array2::zeros((0, width));
    for case in &mut layers() {
        for mode in MODES {
            is_empty(refused(case, |layer, _| {
                layer.forward(none(3).view(), mode).map(drop)
            }));
        }
        is_empty(refused(case, |layer, width| {
            layer.eval_into(none(3).view(), none(width).view_mut(), &mut Vec::new())
        }));
        is_empty(refused(case, |layer, width| {
            let y = none(width);
            layer.backward(none(3).view(), y.view(), y.view()).map(drop)
        }));
    }
    let images = Array4::zeros((0, 3, 1, 1));
    is_empty(affine().forward(images.view(), Mode::Train).unwrap_err());
}

/// The message names the layer's type, so that it serves for layers of a user's own.
#[test]
fn an_empty_batch_is_found_before_anything_is_computed() {
    let check = |layer: &dyn Layer<f64>| layer.check_batch(0, 3, Mode::Train).unwrap_err();
    for (error, name) in [
        (check(&affine()), "Affine"),
        (check(&Dropout::new(0.5, 1).unwrap()), "Dropout"),
        (check(&Relu), "Relu"),
        (check(&Tanh), "Tanh"),
    ] {
        assert!(matches!(error, Error::EmptyBatch { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn memory_that_is_not_in_row_major_order() {
    let is_not_contiguous = |e: Error| {
        assert!(
            matches!(e, Error::Tensor(TensorError::NotContiguous { .. })),
            "{e}"
        )
    };
    for case in &mut layers() {
        is_not_contiguous(refused(case, |layer, width| {
            let dout = random((6, width), 7);
            column_major(dout.clone(), |strided| {
                layer
                    .backward(x().view(), dout.view(), strided.view())
                    .map(drop)
            })
        }));
        for mode in MODES {
            is_not_contiguous(refused(case, |layer, width| {
                column_major(random((6, width), 7), |y| {
                    layer.forward_into(x().view(), mode, y)
                })
            }));
        }
        if case.0 == "Affine" {
            continue;
        }
        is_not_contiguous(refused(case, |layer, _| {
            column_major(x(), |x| layer.forward(x.view(), Mode::Train).map(drop))
        }));
        is_not_contiguous(refused(case, |layer, _| {
            column_major(x(), |x| {
                layer.eval_into(x.view(), random((6, 3), 7).view_mut(), &mut Vec::new())
            })
        }));
        is_not_contiguous(refused(case, |layer, _| {
            column_major(x(), |dx| {
                layer.backward_into(x().view(), x().view(), x().view(), Some(dx))
            })
        }));
    }
    // A matrix product reads any strides: Affine takes such an x, and computes the same.
    let forward = |x: ArrayView2<'_, f64>| Layer::forward(&mut affine(), x, Mode::Train);
    let got = column_major(x(), |x| forward(x.view()).unwrap());
    let want = forward(x().view()).unwrap();
    assert!((got - want).iter().all(|d| d.abs() < 1e-15));

    let strided = column_major(random((3, 4), 1), |w| w.view().reversed_axes().to_owned());
    let error = Affine::new(strided.reversed_axes(), Array1::zeros(4)).unwrap_err();
    assert!(error.to_string().contains("Affine::new"), "{error}");
    is_not_contiguous(error);
    let error = Affine::new(random::<f64>((3, 4), 1), Array1::zeros(3)).unwrap_err();
    assert!(
        is_shape(&error) && error.to_string().contains("Affine::new"),
        "{error}"
    );
}

#[test]
fn a_dropout_backward_without_its_forward() {
    let mut fresh = Dropout::new(0.5, 3).unwrap();
    let mut warm = fresh.clone();
    warm.forward(x().view(), Mode::Train).unwrap();
    let drawn = warm.state();
    // Other rows, and other rows with as many values in all.
    for (dropout, expected, dim) in [
        (&mut fresh, 0, (6, 3)),
        (&mut warm.clone(), 6, (4, 3)),
        (&mut warm.clone(), 6, (3, 6)),
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
    assert_eq!(warm.state(), drawn);
    assert_eq!(fresh.state(), (3, 0));
}

/// As many rows, but wider.
#[test]
fn a_dropout_backward_of_another_width() {
    let mut dropout = Dropout::new(0.5, 3).unwrap();
    dropout.forward(x().view(), Mode::Train).unwrap();
    let wide = random::<f64>((6, 4), 8);
    let error = dropout.backward(wide.view(), wide.view(), wide.view());
    let error = error.unwrap_err();
    assert!(is_shape(&error), "{error}");
    assert!(error.to_string().contains("Dropout"), "{error}");
}

#[test]
fn a_refused_forward_draws_no_mask() {
    let mut dropout = Dropout::new(0.5, 3).unwrap();
    for _ in 0..3 {
        let mut y = random((5, 3), 7);
        let refused = dropout.forward_into(x().view(), Mode::Train, y.view_mut());
        assert!(refused.is_err());
    }
    assert_eq!(dropout.state(), (3, 0));
}

#[test]
fn settings_out_of_range() {
    for bad in [-0.1, f64::NAN, f64::INFINITY] {
        for (error, word) in [
            (Dropout::new(bad, 0).unwrap_err(), "dropout"),
            (Dropout::book(bad, 0).unwrap_err(), "dropout"),
            (LeakyRelu::new(bad).unwrap_err(), "LeakyRelu"),
            (affine().with_weight_decay(bad).unwrap_err(), "decay"),
        ] {
            assert!(matches!(error, Error::InvalidSetting { .. }), "{error}");
            assert!(error.to_string().contains(word), "{error}");
        }
    }
    assert!(Dropout::new(1.0, 0).is_err() && LeakyRelu::new(1.1).is_err());
}

#[test]
fn an_affine_takes_no_strided_bias() {
    // Its values could not be handed to an optimizer as one slice.
    let mut reversed = ndarray::Array1::from(vec![1.0f64, 2.0, 3.0]);
    reversed.invert_axis(ndarray::Axis(0));
    let error = Affine::new(ndarray::Array2::ones((2, 3)), reversed).unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with("Affine::new: the array is not contiguous"),
        "{message}"
    );
}
