//! Every layer's backward against central differences in f64, to a relative difference below 1e-6
//! ([`ParamReport::relative`](bn_layers::ParamReport::relative)): batches of 2, 5 and 64, odd
//! widths, every layout and every setting of BatchNormalization.

use crate::common::{AnyShape, bits, counters, random, random_row, values};
use bn_layers::{
    Affine, BatchNormConfig, BatchNormalization, Dropout, Error, GradientCheck, Identity, Io,
    Layer, LayerExt, Layout, LeakyRelu, Mode, Param, Pass, Relu, Report, RunningAverage, Shape,
    Sigmoid, State, StateMut, Tanh, Wanted,
};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, array};

const BATCHES: [usize; 3] = [2, 5, 64];
const WIDTHS: [usize; 4] = [1, 3, 7, 33];

/// Checks every entry. The layer's state and `x` must keep their bits.
fn passes(check: GradientCheck, layer: &mut dyn Layer<f64>, x: &Array2<f64>, at: &str) -> Report {
    let (before, x_before) = ((values(layer), counters(layer)), bits(x));
    let report = check.check(layer, x.view()).unwrap();
    assert!(report.worst().relative < 1e-6, "{at}\n{report}");
    let after = (values(layer), counters(layer));
    assert_eq!(after, before, "{at}: the check changed the layer");
    assert_eq!(bits(x), x_before, "{at}: the check changed x");
    let mut trained: Vec<_> = Vec::new();
    layer.visit(&mut |p| {
        if p.is_trained {
            trained.push((p.name.to_owned(), p.value.len()));
        }
    });
    trained.push(("x".to_owned(), x.len()));
    let seen = report.params.iter().map(|p| (&p.name, p.checked + p.kinks));
    assert!(seen.eq(trained.iter().map(|(name, len)| (name, *len))));
    report
}

fn kinks(report: &Report) -> usize {
    report.params.iter().map(|p| p.kinks).sum()
}

#[test]
fn affine_with_and_without_bias() {
    for n in BATCHES {
        for (d, e) in [(1, 1), (3, 7), (7, 1), (33, 3), (1, 33)] {
            let (x, w) = (random((n, d), 1), random((d, e), 2));
            let mut affine = Affine::new(w.clone(), random_row(e, 0.0, 3)).unwrap();
            let at = format!("Affine {n}×{d} to {e}");
            let report = passes(GradientCheck::default(), &mut affine, &x, &at);
            assert_eq!(report.params.len(), 3);
            let mut affine = Affine::without_bias(w).unwrap();
            let report = passes(GradientCheck::default(), &mut affine, &x, &at);
            assert_eq!(report.params.len(), 2);
        }
    }
}

/// A layer whose parameters decay: the gradients contain `λ·value`, the loss `λ/2·Σ value²`.
#[derive(Debug, Clone)]
struct Decayed<L>(L);

const LAMBDA: f64 = 0.1;

impl<L: Layer<f64> + Clone> Layer<f64> for Decayed<L> {
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
        self.0.backward_into(io, wanted, pass)?;
        self.0.visit_mut(&mut |p| {
            for (grad, value) in p.grad.iter_mut().zip(p.value) {
                *grad += LAMBDA * *value;
            }
        });
        Ok(())
    }

    fn state(&self, visit: &mut dyn FnMut(State<'_, f64>)) {
        let penalty = LAMBDA;
        self.0
            .visit(&mut |p| visit(State::Array(Param { penalty, ..p })));
    }

    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, f64>)) {
        self.0.state_mut(visit);
    }
}

/// The penalty is part of the loss that is checked.
#[test]
fn affine_with_weight_decay() {
    let (x, w) = (random((5, 3), 1), random((3, 7), 2));
    let mut decayed = Decayed(Affine::new(w, random_row(7, 0.0, 3)).unwrap());
    let (w, b) = (decayed.0.w(), decayed.0.b().unwrap());
    let squares = w.iter().chain(b).map(|v| v * v).sum::<f64>();
    assert!((decayed.penalty() - LAMBDA / 2.0 * squares).abs() < 1e-14);
    assert_eq!(decayed.0.penalty(), 0.0);
    passes(GradientCheck::default(), &mut decayed, &x, "Affine");
}

#[test]
fn activations() {
    for n in BATCHES {
        for d in WIDTHS {
            let x = 3.0 * random((n, d), 4);
            let at = format!("{n}×{d}");
            let check = GradientCheck::default();
            for report in [
                passes(check, &mut Sigmoid, &x, &at),
                passes(check, &mut Relu, &x, &at),
                passes(check, &mut LeakyRelu::new(0.2).unwrap(), &x, &at),
                passes(check, &mut Tanh, &x, &at),
                passes(check, &mut Identity, &x, &at),
            ] {
                assert_eq!(kinks(&report), 0, "{at}\n{report}"); // no |x| is below the step
            }
        }
    }
}

#[test]
fn dropout_with_a_fixed_mask() {
    for n in BATCHES {
        for d in WIDTHS {
            let x = random((n, d), 5);
            for mut dropout in [
                Dropout::new(0.4, 6).unwrap(),
                Dropout::book(0.4, 6).unwrap(),
            ] {
                let at = format!("Dropout {n}×{d}");
                passes(GradientCheck::default(), &mut dropout, &x, &at);
                // Masks drop some values and keep others, and after the check they change again.
                let mut y = || dropout.forward(x.view(), Mode::Train).unwrap();
                let (first, second) = (y(), y());
                if n * d > 100 {
                    assert!(first.iter().any(|&v| v == 0.0) && first.iter().any(|&v| v != 0.0));
                    assert_ne!(first, second);
                }
            }
        }
    }
}

/// An earlier evaluation must not make the check run without a mask.
#[test]
fn dropout_is_checked_with_a_mask_even_after_an_evaluation() {
    let x = random((20, 7), 5);
    let mut dropout = Dropout::new(0.4, 6).unwrap();
    dropout.forward(x.view(), Mode::Train).unwrap();
    dropout.forward(x.view(), Mode::Eval).unwrap();
    let mut unchecked = dropout.clone();
    passes(GradientCheck::default(), &mut dropout, &x, "Dropout");
    // The gradients of the last pass show that the check used a mask.
    let ones = Array2::<f64>::ones(x.dim());
    let dx = dropout.backward(x.view(), x.view(), ones.view()).unwrap();
    assert!(dx.iter().any(|&v| v == 0.0) && dx.iter().any(|&v| v != 0.0));
    // The next mask is the same as without the check.
    let next = unchecked.forward(x.view(), Mode::Train).unwrap();
    assert_eq!(dropout.forward(x.view(), Mode::Train).unwrap(), next);
}

/// Each preset, and the other value of each setting.
fn configs() -> Vec<(&'static str, BatchNormConfig)> {
    let book = BatchNormConfig::book();
    let without_affine = BatchNormConfig {
        affine: false,
        ..book
    };
    vec![
        ("bias corrected", BatchNormConfig::bias_corrected()),
        ("book", book),
        ("paper", BatchNormConfig::paper()),
        ("pytorch", BatchNormConfig::pytorch()),
        ("keras", BatchNormConfig::keras()),
        ("affine off", without_affine),
        (
            "tracking off",
            BatchNormConfig {
                track_running_stats: false,
                ..book
            },
        ),
        (
            "cumulative",
            BatchNormConfig {
                running: RunningAverage::Cumulative,
                ..BatchNormConfig::keras()
            },
        ),
        (
            "affine and tracking off",
            BatchNormConfig {
                track_running_stats: false,
                ..without_affine
            },
        ),
    ]
}

fn batch_norm(channels: usize, layout: Layout, config: BatchNormConfig) -> BatchNormalization<f64> {
    let bn = BatchNormalization::new(channels, config).unwrap();
    let bn = bn.with_layout(layout);
    if !config.affine {
        return bn;
    }
    let (gamma, beta) = (random_row(channels, 1.5, 7), random_row(channels, 0.0, 8));
    bn.with_gamma_beta(gamma, beta).unwrap()
}

/// With two values in a channel, `xn` is ±1 to within `eps/(2·var)` for any `x`, and `dx` is nearly 0,
/// so the check would compare rounding errors. If the values are √eps apart, `xn` is not near ±1. The
/// step is scaled too, so that it stays small compared to the spread.
fn scaled_to_count(count: usize, eps: f64) -> (f64, GradientCheck) {
    let check = GradientCheck::default();
    if count > 2 {
        return (1.0, check);
    }
    let spread = eps.sqrt();
    let step = 1e-4 * spread;
    (spread, GradientCheck { step, ..check })
}

fn check_batch_norm(layout: Layout, channels: usize, inner: usize) {
    for (name, config) in configs() {
        for n in BATCHES {
            let at = format!("{layout:?} {name}: {n} rows, {channels} channels of {inner}");
            let mut bn = AnyShape(batch_norm(channels, layout, config));
            let (spread, check) = scaled_to_count(n * inner, config.eps);
            let x = spread * (random::<f64>((n, channels * inner), 9) + 0.5);
            bn.forward(x.view(), Mode::Train).unwrap(); // so that there are running statistics
            let report = passes(check, &mut bn, &x, &at);
            assert_eq!(kinks(&report), 0, "{at}\n{report}");
            // The check did not compare 0 with 0.
            for p in &report.params {
                assert!(p.worst.analytic.abs() > 1e-6, "{at}\n{report}");
            }
        }
    }
}

#[test]
fn batch_normalization_of_vectors() {
    for d in WIDTHS {
        check_batch_norm(Layout::ChannelsLast, d, 1);
    }
}

#[test]
fn batch_normalization_of_images_channels_last() {
    for (c, inner) in [(1, 7), (3, 3), (7, 3)] {
        check_batch_norm(Layout::ChannelsLast, c, inner);
    }
}

#[test]
fn batch_normalization_of_images_channels_first() {
    for (c, inner) in [(1, 7), (3, 3), (7, 3)] {
        check_batch_norm(Layout::ChannelsFirst, c, inner);
    }
}

#[test]
fn batch_normalization_per_position() {
    for positions in [1, 9, 21] {
        check_batch_norm(Layout::PerPosition, positions, 1);
    }
}

#[test]
fn two_distant_rows_have_almost_no_gradient() {
    let x = random((2, 7), 9);
    let config = BatchNormConfig::book();
    let mut bn = batch_norm(7, Layout::ChannelsLast, config);
    let y = bn.forward(x.view(), Mode::Train).unwrap();
    let dx = bn.backward(x.view(), random((2, 7), 10).view()).unwrap();
    for c in 0..7 {
        // xn = ±h/√(h² + eps) for values h from their mean, and its derivative has a factor eps.
        let h = (x[[0, c]] - x[[1, c]]).abs() / 2.0;
        let xn = (y[[0, c]] - bn.beta().unwrap()[c]) / bn.gamma().unwrap()[c];
        assert!((xn.abs() - (1.0 - config.eps / (2.0 * h * h))).abs() < 1e-3 * config.eps / h / h);
        assert!(dx[[0, c]].abs() < 2.5 * config.eps / (h * h * h));
    }
    // The gradients of the parameters have their usual size, and dx is compared relative to them.
    let report = passes(GradientCheck::default(), &mut bn, &x, "two rows");
    assert!(
        bn.dbeta().unwrap().iter().any(|d| d.abs() > 0.1),
        "{report}"
    );
}

#[test]
fn a_batch_of_one_is_refused() {
    let mut bn = batch_norm(3, Layout::ChannelsLast, BatchNormConfig::book());
    let before = values(&bn);
    let error = GradientCheck::default()
        .check(&mut bn, array![[1.0, 2.0, 3.0]].view())
        .unwrap_err();
    assert!(matches!(error, Error::TooFewValues { got: 1, .. }));
    assert!(error.to_string().contains("BatchNormalization"), "{error}");
    assert_eq!(values(&bn), before);
    let error = GradientCheck::default().check(&mut Relu, Array2::zeros((0, 3)).view());
    let error = error.unwrap_err();
    assert!(matches!(error, Error::EmptyBatch { .. }));
    assert!(error.to_string().contains("GradientCheck"), "{error}");
}
