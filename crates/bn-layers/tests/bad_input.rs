//! Invalid input to BatchNormalization: which error it returns, with which message, and that a failed
//! call changes nothing.

use crate::common::{AnyShape, bits, random, random_row, state};
use bn_layers::{BatchNormConfig, BatchNormalization, Error, Layer, LayerExt, Layout, Mode, Shape};
use bn_tensor::Error as TensorError;
use ndarray::{Array1, Array2, Array3, Array4};
use std::fmt::Debug;

const MODES: [Mode; 3] = [Mode::Train, Mode::BatchStats, Mode::Eval];
const LAYOUTS: [Layout; 3] = [
    Layout::ChannelsLast,
    Layout::ChannelsFirst,
    Layout::PerPosition,
];

fn batch_norm(layout: Layout, config: BatchNormConfig) -> BatchNormalization<f64> {
    let bn = BatchNormalization::new(3, config).unwrap();
    let (gamma, beta) = (random_row(3, 1.5, 1), random_row(3, 0.0, 2));
    bn.with_layout(layout).with_gamma_beta(gamma, beta).unwrap()
}

/// The batch of [`warm`].
fn x() -> Array2<f64> {
    random((6, 3), 3)
}

/// A layer after a forward and a backward pass of 6 rows, so that no part of its state is trivial.
fn warm() -> BatchNormalization<f64> {
    let mut bn = batch_norm(Layout::ChannelsLast, BatchNormConfig::pytorch());
    bn.forward(x().view(), Mode::Train).unwrap();
    bn.backward(x().view(), random((6, 3), 4).view()).unwrap();
    bn
}

/// Returns the error of `call`. Every array of the layer must keep its bits, and so must what only
/// later calls show: the gradient of the last valid batch and the next running statistics.
fn refused<R: Debug>(
    bn: &mut BatchNormalization<f64>,
    call: impl FnOnce(&mut BatchNormalization<f64>) -> Result<R, Error>,
) -> Error {
    let later = |bn: &BatchNormalization<f64>| {
        let mut bn = bn.clone();
        let dx = bn.backward(x().view(), random((6, 3), 5).view());
        bn.forward(x().view(), Mode::Train).unwrap();
        (dx.map(|dx| bits(&dx)), state(&bn))
    };
    let before = (state(bn), later(bn));
    let error = call(bn).unwrap_err();
    assert_eq!((state(bn), later(bn)), before, "{error}");
    let named = ["BatchNormalization", "batch_norm"];
    let message = error.to_string();
    assert!(named.iter().any(|n| message.contains(n)), "{message}");
    error
}

fn is_shape(error: &Error, expected: &[usize], got: &[usize]) -> bool {
    let Error::Tensor(TensorError::ShapeMismatch {
        expected: e,
        got: g,
        ..
    }) = error
    else {
        return false;
    };
    e == expected && g == got
}

#[test]
fn a_wrong_width() {
    let wide = random((6, 4), 6);
    let is_wide = |error: Error| assert!(is_shape(&error, &[6, 3], &[6, 4]), "{error}");
    let is_wide_row = |error: Error| assert!(is_shape(&error, &[3], &[4]), "{error}");
    for mode in MODES {
        is_wide(refused(&mut warm(), |bn| bn.forward(wide.view(), mode)));
        is_wide_row(refused(&mut warm(), |bn| {
            LayerExt::forward(bn, wide.view(), mode)
        }));
    }
    is_wide(refused(&mut warm(), |bn| {
        bn.backward(wide.view(), wide.view())
    }));
    is_wide_row(refused(&mut warm(), |bn| bn.eval(wide.view())));
    is_wide_row(refused(&mut warm(), |bn| {
        LayerExt::backward(bn, wide.view(), wide.view(), wide.view())
    }));
    is_wide_row(refused(&mut warm(), |bn| bn.output_shape(Shape::Flat(4))));
    let image = Shape::from((3, 2, 2));
    let error = refused(&mut warm(), |bn| bn.output_shape(image));
    assert!(is_shape(&error, &[3], &[2]), "{error}");
}

/// A flat row has one value per channel; an image has its channels last.
#[test]
fn rows_with_a_wrong_number_of_channels() {
    let new = |channels| BatchNormalization::<f64>::new(channels, BatchNormConfig::book());
    let is_shape = |error: Error, expected, got| {
        assert!(is_shape(&error, &[expected], &[got]), "{error}");
        assert!(error.to_string().contains("BatchNormalization"), "{error}");
    };
    for layout in LAYOUTS {
        let mut bn = new(25).unwrap().with_layout(layout);
        let twice = random((4, 50), 6);
        is_shape(bn.output_shape(Shape::Flat(50)).unwrap_err(), 25, 50);
        is_shape(bn.eval(twice.view()).unwrap_err(), 25, 50);
        for mode in MODES {
            let error = LayerExt::forward(&mut bn, twice.view(), mode).unwrap_err();
            is_shape(error, 25, 50);
        }
        assert_eq!(bn.output_shape(Shape::Flat(25)).unwrap(), Shape::Flat(25));
    }
    // No image of a network fits `ChannelsFirst`, because its channels are last.
    let image = Shape::from((4, 4, 3));
    for (layout, channels) in [(Layout::ChannelsLast, 3), (Layout::PerPosition, 48)] {
        let bn = new(channels).unwrap().with_layout(layout);
        assert_eq!(bn.output_shape(image).unwrap(), image);
    }
    for channels in [3, 4, 48] {
        let bn = new(channels).unwrap().with_layout(Layout::ChannelsFirst);
        let error = bn.output_shape(image).unwrap_err();
        assert!(error.to_string().contains("channels first"), "{error}");
        is_shape(error, channels, 48);
    }
    let bn = new(3).unwrap().with_layout(Layout::PerPosition);
    is_shape(bn.output_shape(image).unwrap_err(), 3, 48);

    let error = new(0).unwrap_err();
    assert!(
        matches!(error, Error::Tensor(TensorError::InvalidSetting { .. })),
        "{error}"
    );
    assert!(error.to_string().contains("channels"), "{error}");
}

#[test]
fn an_empty_batch() {
    let is_empty = |e: Error| assert!(matches!(e, Error::EmptyBatch { .. }), "{e}");
    let none = Array2::zeros((0, 3));
    for mode in MODES {
        is_empty(refused(&mut warm(), |bn| bn.forward(none.view(), mode)));
        let flat = Array4::zeros((2, 0, 5, 3));
        is_empty(refused(&mut warm(), |bn| bn.forward(flat.view(), mode)));
        let error = LayerExt::forward(&mut warm(), none.view(), mode);
        is_empty(error.unwrap_err());
    }
    is_empty(warm().eval(none.view()).unwrap_err());
}

#[test]
fn one_value_per_channel_in_training() {
    let tracking_off = BatchNormConfig {
        track_running_stats: false,
        ..BatchNormConfig::book()
    };
    for (layout, dims) in [
        (Layout::ChannelsLast, (1, 1, 1, 3)),
        (Layout::ChannelsFirst, (1, 3, 1, 1)),
        (Layout::PerPosition, (1, 3, 1, 1)),
    ] {
        let (row, image) = (Array2::ones((1, 3)), Array4::ones(dims));
        for (config, mode) in [
            (BatchNormConfig::book(), Mode::Train),
            (BatchNormConfig::book(), Mode::BatchStats),
            (tracking_off, Mode::Eval),
        ] {
            let mut bn = batch_norm(layout, config);
            for error in [
                refused(&mut bn, |bn| bn.forward(row.view(), mode)),
                refused(&mut bn, |bn| bn.forward(image.view(), mode)),
                refused(&mut bn, |bn| LayerExt::forward(bn, row.view(), mode)),
            ] {
                assert!(
                    matches!(error, Error::TooFewValues { got: 1, .. }),
                    "{error}"
                );
                assert!(error.to_string().contains("larger batch"), "{error}");
            }
        }
        let mut bn = batch_norm(layout, tracking_off);
        let error = refused(&mut bn, |bn| bn.eval(row.view()));
        assert!(
            matches!(error, Error::TooFewValues { got: 1, .. }),
            "{error}"
        );
        // Evaluation with running statistics works for a single row.
        let mut bn = batch_norm(layout, BatchNormConfig::book());
        bn.forward(row.view(), Mode::Eval).unwrap();
        bn.forward(image.view(), Mode::Eval).unwrap();
    }
}

#[test]
fn one_image_has_enough_values_per_channel_but_not_per_position() {
    let image = random::<f64>((1, 12), 7);
    for (layout, dims) in [
        (Layout::ChannelsLast, (1, 2, 2, 3)),
        (Layout::ChannelsFirst, (1, 3, 2, 2)),
    ] {
        let mut bn = batch_norm(layout, BatchNormConfig::book());
        let x = image.to_shape(dims).unwrap();
        let y = bn.forward(x.view(), Mode::Train).unwrap();
        assert!(y.iter().all(|v| v.is_finite()) && y.dim() == dims);
    }
    let bn = BatchNormalization::<f64>::new(12, BatchNormConfig::book()).unwrap();
    let mut bn = bn.with_layout(Layout::PerPosition);
    let x = image.to_shape((1, 3, 2, 2)).unwrap();
    let error = bn.forward(x.view(), Mode::Train).unwrap_err();
    assert!(
        matches!(error, Error::TooFewValues { got: 1, .. }),
        "{error}"
    );
}

/// Input of any memory layout is accepted and gives the same bits.
#[test]
fn memory_that_is_not_in_row_major_order() {
    let images: Array4<f64> = random((4, 30), 8)
        .into_shape_with_order((4, 2, 5, 3))
        .unwrap();
    let reversed = images.t().as_standard_layout().into_owned();
    for (layout, channels) in [
        (Layout::ChannelsLast, 3),
        (Layout::ChannelsFirst, 2),
        (Layout::PerPosition, 30),
    ] {
        let bn = BatchNormalization::new(channels, BatchNormConfig::pytorch());
        let mut bn = bn.unwrap().with_layout(layout);
        let mut same = bn.clone();
        for mode in MODES {
            let y = bn.forward(images.view(), mode).unwrap();
            let got = same.forward(reversed.t(), mode).unwrap();
            assert_eq!(bits(&got), bits(&y));
            let dx = bn.backward(images.view(), images.view()).unwrap();
            for [x, dout] in [
                [reversed.t(), reversed.t()],
                [images.view(), reversed.t()],
                [reversed.t(), images.view()],
            ] {
                assert_eq!(bits(&same.backward(x, dout).unwrap()), bits(&dx));
            }
            assert_eq!(state(&same), state(&bn));
        }
    }
}

#[test]
fn a_backward_that_does_not_fit_its_forward() {
    let (six, four) = (x(), random((4, 3), 9));
    let error = refused(&mut warm(), |bn| bn.backward(six.view(), four.view()));
    assert!(is_shape(&error, &[6, 3], &[4, 3]), "{error}");
    for [y, dout] in [[&four, &six], [&six, &four]] {
        let error = refused_by_shape(&mut warm(), &six, [y, dout]);
        assert!(is_shape(&error, &[6, 3], &[4, 3]), "{error}");
    }

    for (mut bn, rows) in [
        (warm(), 6),
        (batch_norm(Layout::ChannelsLast, BatchNormConfig::book()), 0),
    ] {
        let error = refused(&mut bn, |bn| bn.backward(four.view(), four.view()));
        let fits = matches!(error, Error::NoForward { expected, got: 4, .. } if expected == rows);
        assert!(fits && error.to_string().contains("forward"), "{error}");
    }
    // The same number of images, with a different size.
    let mut bn = batch_norm(Layout::ChannelsFirst, BatchNormConfig::book());
    let images = |width| Array4::<f64>::ones((4, 3, 1, width));
    bn.forward(images(2).view(), Mode::Train).unwrap();
    let error = refused(&mut bn, |bn| {
        bn.backward(images(3).view(), images(3).view())
    });
    assert!(is_shape(&error, &[4, 3, 2], &[4, 3, 3]), "{error}");
    let mut bn = AnyShape(bn);
    let other = random((4, 9), 9);
    let error = bn.backward(other.view(), other.view(), other.view());
    assert!(is_shape(&error.unwrap_err(), &[4, 3, 2], &[4, 3, 3]));
}

/// As [`refused`], through [`LayerExt`], whose errors do not name the layer.
fn refused_by_shape(
    bn: &mut BatchNormalization<f64>,
    x: &Array2<f64>,
    [y, dout]: [&Array2<f64>; 2],
) -> Error {
    let before = state(bn);
    let error = LayerExt::backward(bn, x.view(), y.view(), dout.view()).unwrap_err();
    assert_eq!(state(bn), before, "{error}");
    error
}

#[test]
fn a_matrix_of_a_multiple_of_the_channels_is_a_wrong_width() {
    for layout in [Layout::ChannelsLast, Layout::ChannelsFirst] {
        let mut bn = batch_norm(layout, BatchNormConfig::book());
        let wide = random((4, 6), 9);
        let error = refused(&mut bn, |bn| bn.forward(wide.view(), Mode::Train));
        assert!(is_shape(&error, &[4, 3], &[4, 6]), "{error}");
    }
}

#[test]
fn dimensions_and_channels_that_do_not_fit() {
    for (layout, dims, expected) in [
        (Layout::ChannelsLast, (4, 2, 5, 2), [4, 2, 5, 3]),
        (Layout::ChannelsFirst, (4, 2, 5, 3), [4, 3, 5, 3]),
    ] {
        let mut bn = batch_norm(layout, BatchNormConfig::book());
        let x = Array4::ones(dims);
        let got = [dims.0, dims.1, dims.2, dims.3];
        for mode in MODES {
            let error = refused(&mut bn, |bn| bn.forward(x.view(), mode));
            assert!(is_shape(&error, &expected, &got), "{error}");
        }
        let error = refused(&mut bn, |bn| bn.backward(x.view(), x.view()));
        assert!(is_shape(&error, &expected, &got), "{error}");
    }
    for layout in LAYOUTS {
        let mut bn = batch_norm(layout, BatchNormConfig::book());
        let (cube, row) = (Array3::ones((4, 1, 3)), Array1::ones(3));
        for error in [
            refused(&mut bn, |bn| bn.forward(cube.view(), Mode::Train)),
            refused(&mut bn, |bn| bn.forward(row.view(), Mode::Train)),
            refused(&mut bn, |bn| bn.backward(cube.view(), cube.view())),
        ] {
            let is_shape = matches!(error, Error::Tensor(TensorError::ShapeMismatch { .. }));
            assert!(is_shape, "{error}");
        }
        let x = Array4::ones((4, 3, 5, 7));
        if layout == Layout::PerPosition {
            let error = refused(&mut bn, |bn| bn.forward(x.view(), Mode::Train));
            assert!(is_shape(&error, &[4, 3], &[4, 3, 5, 7]), "{error}");
        }
    }
}
