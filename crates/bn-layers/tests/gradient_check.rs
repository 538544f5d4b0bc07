//! The gradient check finds wrong gradients, and does not mistake kinks for them.

use crate::common::{random, random_row};
use bn_layers::{
    Affine, BatchNormConfig, BatchNormalization, Error, GradientCheck, Io, Layer, LeakyRelu,
    Outcome, Param, Pass, Relu, Report, Shape, State, StateMut, Wanted,
};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, array};

/// A layer with a wrong backward pass: `dx`, or the gradient of one parameter, is off by a factor.
#[derive(Debug, Clone)]
struct Off<L> {
    layer: L,
    dx_factor: f64,
    param: &'static str,
    param_factor: f64,
}

impl<L: Layer<f64>> Off<L> {
    fn dx(layer: L, dx_factor: f64) -> Self {
        Self {
            layer,
            dx_factor,
            param: "",
            param_factor: 1.0,
        }
    }

    fn param(layer: L, param: &'static str, param_factor: f64) -> Self {
        Self {
            layer,
            dx_factor: 1.0,
            param,
            param_factor,
        }
    }
}

impl<L: Layer<f64> + Clone> Layer<f64> for Off<L> {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        self.layer.output_shape(input)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, f64>,
        y: ArrayViewMut2<'_, f64>,
        pass: &Pass<'_>,
    ) -> Result<(), Error> {
        self.layer.forward_into(x, y, pass)
    }

    fn backward_into(
        &mut self,
        io: Io<'_, f64>,
        wanted: Wanted<'_, f64>,
        pass: &Pass<'_>,
    ) -> Result<(), Error> {
        let Wanted { mut dx, params } = wanted;
        let wanted = Wanted {
            dx: dx.as_mut().map(|dx| dx.view_mut()),
            params,
        };
        self.layer.backward_into(io, wanted, pass)?;
        if let Some(mut dx) = dx {
            dx *= self.dx_factor;
        }
        Ok(())
    }

    fn state(&self, visit: &mut dyn FnMut(State<'_, f64>)) {
        self.layer.state(&mut |part| {
            let State::Array(p) = part else {
                return visit(part);
            };
            let factor = if p.name == self.param {
                self.param_factor
            } else {
                1.0
            };
            let grad: Vec<f64> = p.grad.iter().map(|g| g * factor).collect();
            visit(State::Array(Param { grad: &grad, ..p }));
        });
    }

    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, f64>)) {
        self.layer.state_mut(visit);
    }

    fn settle(&mut self, outcome: Outcome) {
        self.layer.settle(outcome);
    }
}

fn affine() -> Affine<f64> {
    Affine::new(random((3, 4), 1), random_row(4, 0.0, 2)).unwrap()
}

fn batch_norm() -> BatchNormalization<f64> {
    let bn = BatchNormalization::new(3, BatchNormConfig::book()).unwrap();
    let (gamma, beta) = (random_row(3, 1.5, 3), random_row(3, 0.0, 4));
    bn.with_gamma_beta(gamma, beta).unwrap()
}

fn report(layer: &mut dyn Layer<f64>) -> Report {
    let x = random((5, 3), 5);
    GradientCheck::default().check(layer, x.view()).unwrap()
}

#[test]
fn a_wrong_gradient_is_found_and_named() {
    // Gradients that are off by a thousandth. The same layers with a factor of 1 pass.
    let off = 1.001;
    for factor in [1.0, off] {
        for (report, name) in [
            (report(&mut Off::dx(affine(), factor)), "x"),
            (report(&mut Off::dx(batch_norm(), factor)), "x"),
            (report(&mut Off::dx(Relu, factor)), "x"),
            (
                report(&mut Off::param(affine(), "weight", factor)),
                "weight",
            ),
            (report(&mut Off::param(affine(), "bias", factor)), "bias"),
            (
                report(&mut Off::param(batch_norm(), "gamma", factor)),
                "gamma",
            ),
            (
                report(&mut Off::param(batch_norm(), "beta", factor)),
                "beta",
            ),
        ] {
            if factor == 1.0 {
                assert!(report.worst().relative < 1e-6, "{report}");
                continue;
            }
            assert_eq!(report.worst().name, name, "{report}");
            assert!(report.worst().relative > 1e-4, "{report}");
            assert!(report.to_string().contains(name));
            let right = report.params.iter().filter(|p| p.name != name);
            assert!(right.into_iter().all(|p| p.relative < 1e-6), "{report}");
        }
    }
}

#[test]
fn a_gradient_that_is_zero_or_nan_is_found() {
    for factor in [0.0, f64::NAN] {
        let report = report(&mut Off::dx(batch_norm(), factor));
        assert_eq!(report.worst().name, "x");
        let relative = report.worst().relative;
        assert!(relative.is_nan() == factor.is_nan(), "{report}");
        assert!(relative.is_nan() || relative > 1e-4, "{report}");
    }
    // If every value is NaN, the check must not pass as if every gradient were 0.
    let x = Array2::from_elem((3, 2), f64::NAN);
    let report = GradientCheck::default().check(&mut batch_norm_of_two(), x.view());
    assert!(report.unwrap().worst().relative.is_nan());
}

fn batch_norm_of_two() -> BatchNormalization<f64> {
    let config = BatchNormConfig {
        affine: false,
        ..BatchNormConfig::book()
    };
    BatchNormalization::new(2, config).unwrap()
}

#[test]
fn a_kink_is_counted_and_skipped() {
    // Values at 0, and values closer to 0 than the smallest step; then values that a smaller step
    // resolves (3e-6), and values that are more than a step away.
    let x = array![[0.0, -0.0, 3e-8, -3e-8], [3e-6, -3e-6, 1.0, -1.0]];
    for layer in [
        &mut Relu as &mut dyn Layer<f64>,
        &mut LeakyRelu::new(0.1).unwrap(),
    ] {
        let report = GradientCheck::default().check(layer, x.view()).unwrap();
        let [input] = &report.params[..] else {
            panic!("an activation has no parameters");
        };
        assert_eq!((input.kinks, input.checked), (4, 4), "{report}");
        assert!(input.relative < 1e-6, "{report}");
        assert!(report.to_string().contains("kinks"));
    }
}

#[test]
fn a_wrong_gradient_is_not_taken_for_a_kink() {
    // Away from a kink, both one-sided slopes agree, so the wrong gradient is not between them.
    let x = array![[0.5, -0.5, 1e-3, -1e-3]];
    let report = GradientCheck::default().check(&mut Off::dx(Relu, 1.001), x.view());
    let report = report.unwrap();
    assert_eq!(report.params[0].kinks, 0, "{report}");
    assert!(report.worst().relative > 1e-4, "{report}");
    // At a kink, a gradient that is not between the two slopes is wrong.
    let x = array![[1e-9, 1.0]];
    let report = GradientCheck::default().check(&mut Off::dx(Relu, 1.5), x.view());
    let report = report.unwrap();
    assert_eq!((report.params[0].kinks, report.params[0].checked), (0, 2));
    assert!(report.worst().relative > 1e-4, "{report}");
}

#[test]
fn fewer_entries_are_spread_evenly() {
    let check = GradientCheck {
        entries: 4,
        ..GradientCheck::default()
    };
    let report = check.check(&mut affine(), random((5, 3), 5).view());
    let checked: Vec<_> = report.unwrap().params.iter().map(|p| p.checked).collect();
    assert_eq!(checked, [4, 4, 4]); // of 12 weights, 4 biases and 15 inputs
}

#[test]
fn a_gradient_that_is_infinite_is_found() {
    for factor in [f64::INFINITY, f64::NEG_INFINITY] {
        for (report, name) in [
            (report(&mut Off::dx(affine(), factor)), "x"),
            (
                report(&mut Off::param(affine(), "weight", factor)),
                "weight",
            ),
            (
                report(&mut Off::param(batch_norm(), "gamma", factor)),
                "gamma",
            ),
        ] {
            assert_eq!(report.worst().name, name, "{report}");
            assert!(report.worst().relative.is_nan(), "{report}");
            let right = report.params.iter().filter(|p| p.name != name);
            assert!(right.into_iter().all(|p| p.relative < 1e-6), "{report}");
        }
    }
}

/// A layer that shows its parameters without their gradients.
#[derive(Debug, Clone)]
struct WithoutGradients(Affine<f64>);

impl Layer<f64> for WithoutGradients {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        self.0.output_shape(input)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, f64>,
        y: ArrayViewMut2<'_, f64>,
        pass: &Pass<'_>,
    ) -> Result<(), Error> {
        self.0.forward_into(x, y, pass)
    }

    fn backward_into(
        &mut self,
        io: Io<'_, f64>,
        wanted: Wanted<'_, f64>,
        pass: &Pass<'_>,
    ) -> Result<(), Error> {
        self.0.backward_into(io, wanted, pass)
    }

    fn state(&self, visit: &mut dyn FnMut(State<'_, f64>)) {
        self.0.state(&mut |part| {
            let State::Array(p) = part else {
                return visit(part);
            };
            visit(State::Array(Param { grad: &[], ..p }));
        });
    }

    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, f64>)) {
        self.0.state_mut(visit);
    }
}

#[test]
fn a_parameter_without_a_gradient_is_refused() {
    let x = random((5, 3), 5);
    let report = GradientCheck::default().check(&mut WithoutGradients(affine()), x.view());
    let message =
        "GradientCheck: the gradient of a trained parameter: expected shape [12], got [0]";
    assert_eq!(report.unwrap_err().to_string(), message);
}

#[test]
fn a_check_that_compares_nothing_does_not_pass() {
    let x = Array2::zeros((2, 3)); // kinks only
    let mut report = GradientCheck::default().check(&mut Relu, x.view()).unwrap();
    assert_eq!((report.worst().checked, report.worst().kinks), (0, 6));
    assert!(report.worst().relative.is_nan(), "{report}");
    report.params.clear();
    assert!(report.worst().relative.is_nan(), "{report}");
    for step in [0.0, -1e-5, f64::NAN, f64::INFINITY] {
        let check = GradientCheck {
            step,
            ..GradientCheck::default()
        };
        assert!(check.check(&mut Relu, x.view()).is_err(), "{step}");
    }
}
