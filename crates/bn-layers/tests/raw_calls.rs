//! For every layer: the checked methods accept any memory layout, and the unchecked ones return an error
//! for arrays that do not fit and never panic.

use crate::common::{
    bits, counters,
    every_layer::{every_layer, fused_layers},
    input_gradient, random, state,
};
use bn_layers::{Error, Io, Layer, LayerExt, Mode, Pass, Wanted};
use bn_tensor::{Error as TensorError, Scalar};
use ndarray::{Array2, ArrayView2};

const MODES: [Mode; 3] = [Mode::Train, Mode::BatchStats, Mode::Eval];
const ROWS: usize = 6;

fn all<T: Scalar>() -> Vec<(Box<dyn Layer<T>>, usize)> {
    let mut all = every_layer();
    all.extend(fused_layers());
    all
}

/// The same values, in column-major order.
fn turned<T: Scalar>(x: &Array2<T>) -> Array2<T> {
    x.t().as_standard_layout().into_owned().reversed_axes()
}

fn check_any_order<T: Scalar>() {
    for (mut layer, width) in all::<T>() {
        let mut same = layer.clone();
        let x = random::<T>((ROWS, width), 1);
        assert!(width == 1 || !turned(&x).is_standard_layout());
        for mode in MODES {
            let y = layer.forward(x.view(), mode).unwrap();
            let got = same.forward(turned(&x).view(), mode).unwrap();
            assert_eq!(bits(&got), bits(&y), "{layer:?} {mode:?}");
            let dout = random::<T>(y.dim(), 2);
            let dx = layer.backward(x.view(), y.view(), dout.view()).unwrap();
            let (x, y, dout) = (turned(&x), turned(&y), turned(&dout));
            let got = same.backward(x.view(), y.view(), dout.view()).unwrap();
            assert_eq!(bits(&got), bits(&dx), "{layer:?} {mode:?}");
            assert_eq!(state(&*same), state(&*layer), "{layer:?} {mode:?}");
        }
        let y = layer.eval(x.view()).unwrap();
        let got = same.eval(turned(&x).view()).unwrap();
        assert_eq!(bits(&got), bits(&y), "{layer:?}");
    }
}

#[test]
fn memory_in_any_order_gives_the_same_bits() {
    check_any_order::<f32>();
    check_any_order::<f64>();
}

/// Computing only the gradient of the input gives the same bits and does not change those of the
/// parameters.
fn check_input_gradient<T: Scalar>() {
    for (mut layer, width) in all::<T>() {
        let x = random::<T>((ROWS, width), 1);
        for mode in MODES {
            let y = layer.forward(x.view(), mode).unwrap();
            let dout = random::<T>(y.dim(), 2);
            let dx = layer.backward(x.view(), y.view(), dout.view()).unwrap();
            let before = (state(&*layer), counters(&*layer));
            let only_dx = input_gradient(&mut *layer, [x.view(), y.view(), dout.view()]);
            assert_eq!(bits(&only_dx), bits(&dx), "{layer:?} {mode:?}");
            // With another dout, for which the gradients of the parameters would be different.
            let other = random::<T>(y.dim(), 3);
            input_gradient(&mut *layer, [x.view(), y.view(), other.view()]);
            assert_eq!((state(&*layer), counters(&*layer)), before, "{layer:?}");

            // Only the gradients of the parameters.
            let (x, y, dout) = (x.view(), y.view(), other.view());
            let wanted = Wanted {
                dx: None,
                params: true,
            };
            let pass = Pass::new(mode);
            layer
                .backward_into(Io { x, y, dout }, wanted, &pass)
                .unwrap();
            let only_params = state(&*layer);
            layer.backward(x, y, dout).unwrap();
            assert_eq!(state(&*layer), only_params, "{layer:?} {mode:?}");
            let has_gradients = only_params.iter().any(|(_, _, grad)| !grad.is_empty());
            assert_eq!(only_params != before.0, has_gradients, "{layer:?}");
        }
    }
}

#[test]
fn gradients_computed_separately_are_the_same() {
    check_input_gradient::<f32>();
    check_input_gradient::<f64>();
}

fn assert_shape(result: Result<(), Error>, what: &str) {
    let is_shape = matches!(
        result,
        Err(Error::Tensor(TensorError::ShapeMismatch { .. }) | Error::NoForward { .. })
    );
    assert!(is_shape, "{what}: {result:?}");
}

/// Shapes that differ from `dim` in their rows or their columns.
fn others((rows, width): (usize, usize)) -> [(usize, usize); 5] {
    [
        (rows - 1, width),
        (rows + 1, width),
        (rows, width + 1),
        (rows, 2 * width),
        (0, width),
    ]
}

#[test]
fn raw_forward_passes_of_wrong_shapes() {
    for (layer, width) in all::<f64>() {
        let out = layer.output_shape(width.into()).unwrap().size();
        let (x_dim, y_dim) = ((ROWS, width), (ROWS, out));
        let wrong_x = others(x_dim).map(|dim| (dim, y_dim));
        let wrong_y = others(y_dim).map(|dim| (x_dim, dim));
        for (x_dim, y_dim) in wrong_x.into_iter().chain(wrong_y) {
            let (x, mut y) = (random(x_dim, 1), random(y_dim, 2));
            let what = format!("{layer:?}\n{x_dim:?} to {y_dim:?}");
            for mode in MODES {
                let pass = Pass::new(mode);
                let result = layer.clone().forward_into(x.view(), y.view_mut(), &pass);
                assert_shape(result, &what);
            }
            let result = layer.eval_into(x.view(), y.view_mut(), &mut Vec::new());
            assert_shape(result, &what);
        }
    }
}

fn raw_backward(
    layer: &dyn Layer<f64>,
    [x, y, dout]: [ArrayView2<'_, f64>; 3],
    dx: Option<(usize, usize)>,
    params: bool,
) -> Result<(), Error> {
    let mut layer = dyn_clone::clone_box(layer);
    let mut dx = dx.map(|dim| random(dim, 7));
    let wanted = Wanted {
        dx: dx.as_mut().map(|dx| dx.view_mut()),
        params,
    };
    layer.backward_into(Io { x, y, dout }, wanted, &Pass::new(Mode::Train))
}

#[test]
fn raw_backward_passes_of_wrong_shapes() {
    for (mut layer, width) in all::<f64>() {
        let x = random((ROWS, width), 1);
        let y = layer.forward(x.view(), Mode::Train).unwrap();
        let dout = random(y.dim(), 2);
        let good = [x.view(), y.view(), dout.view()];
        raw_backward(&*layer, good, Some(x.dim()), true).unwrap();
        let what = |part: &str, dim| format!("{layer:?}\n{part} of {dim:?}");
        for dim in others(x.dim()) {
            let result = raw_backward(&*layer, good, Some(dim), true);
            assert_shape(result, &what("dx", dim));
            let other = random(dim, 3);
            let arrays = [other.view(), y.view(), dout.view()];
            // Only some layers read x in the backward pass; none may panic.
            for params in [false, true] {
                let _ = raw_backward(&*layer, arrays, Some(x.dim()), params);
                let _ = raw_backward(&*layer, arrays, Some(dim), params);
                let _ = raw_backward(&*layer, arrays, None, params);
            }
        }
        for dim in others(y.dim()) {
            let other = random(dim, 3);
            let arrays = [x.view(), y.view(), other.view()];
            let result = raw_backward(&*layer, arrays, Some(x.dim()), true);
            assert_shape(result, &what("dout", dim));
            let _ = raw_backward(&*layer, arrays, None, true);
            // The same for y, which few layers read.
            for arrays in [
                [x.view(), other.view(), dout.view()],
                [x.view(), other.view(), other.view()],
            ] {
                for dx in [Some(x.dim()), None] {
                    let _ = raw_backward(&*layer, arrays, dx, true);
                }
            }
        }
    }
}

/// An array that is not in row-major order gives an error or the correct result.
#[test]
fn raw_calls_with_memory_in_another_order() {
    for (layer, width) in all::<f64>() {
        let x = random((ROWS, width), 1);
        let mut warm = layer.clone();
        let y = warm.forward(x.view(), Mode::Train).unwrap();
        let dout = random(y.dim(), 2);
        let want_y = layer.clone().forward(x.view(), Mode::Train).unwrap();
        let (x_turned, mut y_turned) = (turned(&x), turned(&y));
        let pass = Pass::new(Mode::Train);
        let mut to = Array2::zeros(y.dim());
        let mut again = layer.clone();
        let close = |got: &Array2<f64>, want: &Array2<f64>| {
            let pairs = got.iter().zip(want);
            pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-12)
        };
        if again
            .forward_into(x_turned.view(), to.view_mut(), &pass)
            .is_ok()
        {
            assert!(close(&to, &want_y), "{layer:?}");
        }
        let mut again = layer.clone();
        if again
            .forward_into(x.view(), y_turned.view_mut(), &pass)
            .is_ok()
        {
            assert!(close(&y_turned, &want_y), "{layer:?}");
        }
        let dx = warm.backward(x.view(), y.view(), dout.view()).unwrap();
        let (mut to, mut to_turned) = (Array2::zeros(x.dim()), turned(&x));
        for (dout, to) in [(turned(&dout), &mut to), (dout, &mut to_turned)] {
            let wanted = Wanted {
                dx: Some(to.view_mut()),
                params: true,
            };
            let io = Io {
                x: x.view(),
                y: y.view(),
                dout: dout.view(),
            };
            if warm.backward_into(io, wanted, &pass).is_ok() {
                assert!(close(to, &dx), "{layer:?}");
            }
        }
    }
}
