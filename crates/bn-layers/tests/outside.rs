//! A layer from outside with only the three required methods. The defaults of the others are correct
//! for it, although its rows depend on each other and a forward pass changes it.

use crate::common::{bits, counters, evaluated, random, state};
use bn_layers::{Error, GradientCheck, Io, Layer, LayerExt, Mode, Outcome, Pass, Shape, Wanted};
use bn_tensor::Scalar;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};

/// `y = x − mean`, with the mean of each column over the batch.
#[derive(Debug, Clone, Default)]
struct Centring {
    passes: usize,
}

fn centred<T: Scalar>(x: ArrayView2<'_, T>, mut y: ArrayViewMut2<'_, T>) {
    let mean = x.sum_axis(Axis(0)) / T::from_f64(x.nrows() as f64);
    y.assign(&(&x - &mean));
}

impl<T: Scalar> Layer<T> for Centring {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        Ok(input)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &Pass<'_>,
    ) -> Result<(), Error> {
        self.passes += 1;
        centred(x, y);
        Ok(())
    }

    fn backward_into(
        &mut self,
        io: Io<'_, T>,
        wanted: Wanted<'_, T>,
        _: &Pass<'_>,
    ) -> Result<(), Error> {
        if let Some(dx) = wanted.dx {
            centred(io.dout, dx);
        }
        Ok(())
    }
}

fn check<T: Scalar>() {
    let x = random::<T>((7, 5), 1);
    let mut want = Array2::zeros(x.dim());
    centred(x.view(), want.view_mut());
    let mut layer: Box<dyn Layer<T>> = Box::new(Centring::default());
    for mode in [Mode::Train, Mode::BatchStats, Mode::Eval] {
        assert_eq!(bits(&layer.forward(x.view(), mode).unwrap()), bits(&want));
    }
    // Evaluation takes all rows at once.
    assert_eq!(bits(&layer.eval(x.view()).unwrap()), bits(&want));
    assert_eq!(bits(&evaluated(&*layer, x.view(), 5)), bits(&want));
    assert!(
        !layer.rows_are_independent(Mode::Eval),
        "it must not be cut in chunks"
    );
}

#[test]
fn evaluation_is_correct() {
    check::<f32>();
    check::<f64>();
}

#[test]
fn evaluation_changes_nothing() {
    let (mut layer, x) = (Centring::default(), random::<f64>((7, 5), 1));
    layer.forward(x.view(), Mode::Train).unwrap();
    for _ in 0..3 {
        layer.eval(x.view()).unwrap();
    }
    assert_eq!(layer.passes, 1, "evaluation must run on a copy");
}

#[test]
fn the_other_defaults() {
    let mut layer: Box<dyn Layer<f64>> = Box::new(Centring::default());
    assert!(state(&*layer).is_empty() && counters(&*layer).is_empty());
    layer.visit_mut(&mut |p| panic!("{p:?}"));
    layer.visit_counters_mut(&mut |name, _| panic!("{name}"));
    assert_eq!(layer.penalty(), 0.0);
    assert_eq!(layer.describe(), None);
    let x = random((7, 5), 1);
    let y = layer.eval(x.view()).unwrap();
    for outcome in [Outcome::Stands, Outcome::TakenBack] {
        layer.settle(outcome);
        assert_eq!(layer.clone().eval(x.view()).unwrap(), y);
    }
}

#[test]
fn its_gradient_is_checked_like_any_other() {
    let x = random((7, 5), 1);
    let report = GradientCheck::default().check(&mut Centring::default(), x.view());
    let report = report.unwrap();
    assert!(report.worst().relative < 1e-6, "{report}");
    assert_eq!(report.params.len(), 1);
}

#[test]
fn the_checks_of_layer_ext_apply_to_it() {
    let mut layer: Box<dyn Layer<f64>> = Box::new(Centring::default());
    let (x, none, narrow) = (random((7, 5), 1), Array2::zeros((0, 5)), random((7, 4), 2));
    let empty = layer.forward(none.view(), Mode::Train).unwrap_err();
    assert!(matches!(empty, Error::EmptyBatch { .. }), "{empty}");
    for [y, dout] in [[&x, &narrow], [&narrow, &x]] {
        let error = layer.backward(x.view(), y.view(), dout.view()).unwrap_err();
        assert!(matches!(error, Error::Tensor(_)), "{error}");
    }
    let turned = x.t().as_standard_layout().into_owned();
    let y = layer.forward(turned.t(), Mode::Train).unwrap();
    assert_eq!(y, layer.eval(x.view()).unwrap());
}
