//! Shared by the tests: the reader of the golden files, comparison within a tolerance, random arrays, a
//! layer's state as bits, and one of each layer.

pub(crate) mod all_reduce;
pub(crate) mod any_shape;
pub(crate) mod every_layer;
pub(crate) mod golden;
pub(crate) mod golden_batch_norm;

pub(crate) use any_shape::AnyShape;
use bn_layers::{Io, Layer, LayerExt, Mode, Outcome, Pass, Wanted};
use bn_tensor::Scalar;
use ndarray::{Array1, Array2, ArrayView2};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Compares values to a tolerance relative to `max(1, |want|)`, and keeps the largest error.
#[derive(Debug)]
pub(crate) struct Compare {
    pub(crate) tolerance: f64,
    pub(crate) worst: f64,
    pub(crate) worst_at: String,
}

impl Compare {
    pub(crate) fn to(tolerance: f64) -> Self {
        Self {
            tolerance,
            worst: 0.0,
            worst_at: String::new(),
        }
    }

    /// Panics unless all of `got` are within the tolerance of `want`; a NaN never is.
    pub(crate) fn same<'a, T: Scalar>(
        &mut self,
        what: &str,
        got: impl IntoIterator<Item = &'a T>,
        want: impl IntoIterator<Item = &'a f64>,
    ) {
        let got: Vec<f64> = got.into_iter().map(|v| v.as_f64()).collect();
        let want: Vec<f64> = want.into_iter().copied().collect();
        assert_eq!(got.len(), want.len(), "{what}: the number of values");
        for (i, (g, w)) in got.iter().zip(&want).enumerate() {
            let error = (g - w).abs() / w.abs().max(1.0);
            assert!(
                error <= self.tolerance,
                "{what}[{i}]: {g:e} instead of {w:e}, off by {error:.2e} > {:e}",
                self.tolerance
            );
            if error > self.worst {
                self.worst = error;
                self.worst_at = format!("{what}[{i}]");
            }
        }
    }
}

impl Drop for Compare {
    fn drop(&mut self) {
        println!("largest error {:.2e}, at {}", self.worst, self.worst_at);
    }
}

/// `n·d` values between −1 and 1, from a seed.
pub(crate) fn random<T: Scalar>((n, d): (usize, usize), seed: u64) -> Array2<T> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    Array2::from_shape_simple_fn((n, d), || T::from_f64(rng.random::<f64>() * 2.0 - 1.0))
}

/// `len` values between `center − 1` and `center + 1`, from a seed.
pub(crate) fn random_row<T: Scalar>(len: usize, center: f64, seed: u64) -> Array1<T> {
    random((1, len), seed)
        .row(0)
        .mapv(|v: T| v + T::from_f64(center))
}

/// The bits of `values` as f64. Both element types widen to f64 without loss, so equal bits mean equal
/// bits in the element type.
pub(crate) fn bits<'a, T: Scalar>(values: impl IntoIterator<Item = &'a T>) -> Vec<u64> {
    let values = values.into_iter();
    values.map(|v| v.as_f64().to_bits()).collect()
}

/// Name, value and gradient of each array of a layer's state, as bits.
pub(crate) fn state<T: Scalar>(layer: &dyn Layer<T>) -> Vec<(String, Vec<u64>, Vec<u64>)> {
    let mut all = Vec::new();
    layer.visit(&mut |p| all.push((p.name.to_owned(), bits(p.value), bits(p.grad))));
    all
}

/// [`state`] without the gradients.
pub(crate) fn values<T: Scalar>(layer: &dyn Layer<T>) -> Vec<(String, Vec<u64>)> {
    let state = state(layer).into_iter();
    state.map(|(name, value, _)| (name, value)).collect()
}

/// Name and value of each counter of a layer's state.
pub(crate) fn counters<T: Scalar>(layer: &dyn Layer<T>) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    layer.visit_counters(&mut |name, value| all.push((name.to_owned(), value)));
    all
}

/// Runs `forward_into` to a new array, without `settle`.
pub(crate) fn unsettled<T: Scalar>(
    layer: &mut dyn Layer<T>,
    x: ArrayView2<'_, T>,
    mode: Mode,
) -> Array2<T> {
    let width = layer.output_shape(x.ncols().into()).unwrap().size();
    let mut y = Array2::from_elem((x.nrows(), width), T::nan());
    layer
        .forward_into(x, y.view_mut(), &Pass::new(mode))
        .unwrap();
    y
}

/// Computes only the gradient with respect to `x`. The layer's gradients must not change.
pub(crate) fn input_gradient<T: Scalar>(
    layer: &mut dyn Layer<T>,
    [x, y, dout]: [ArrayView2<'_, T>; 3],
) -> Array2<T> {
    let before = state(layer);
    let mut dx = Array2::from_elem(x.dim(), T::nan());
    let wanted = Wanted {
        dx: Some(dx.view_mut()),
        params: false,
    };
    let pass = Pass::new(Mode::BatchStats);
    layer
        .backward_into(Io { x, y, dout }, wanted, &pass)
        .unwrap();
    assert_eq!(
        state(layer),
        before,
        "the gradients of the parameters must not change"
    );
    dx
}

/// Calls `settle` of a layer of either element type.
pub(crate) fn settle<T: Scalar>(layer: &mut dyn Layer<T>, outcome: Outcome) {
    layer.settle(outcome);
}

/// `eval_into` to a new array.
pub(crate) fn evaluated<T: Scalar>(
    layer: &dyn Layer<T>,
    x: ArrayView2<'_, T>,
    width: usize,
) -> Array2<T> {
    let mut y = Array2::from_elem((x.nrows(), width), T::nan());
    layer.eval_into(x, y.view_mut(), &mut Vec::new()).unwrap();
    y
}
