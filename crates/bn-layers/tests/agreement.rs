//! Compares BatchNormalization with its naive form, and its layouts with each other, on random shapes.
//!
//! The tolerance is 1e-11, relative to `max(1, |want|)`: with a mean of 1e3 and a spread of at least
//! 1/2, `x − mu` loses three of f64's sixteen digits in either form, and a sum of a few hundred terms
//! may lose one more.

use crate::common::{Compare, bits, random, random_row};
use bn_layers::{BatchNormConfig, BatchNormalization, Layout, Mode, naive};
use ndarray::{Array1, Array2, Array4, ArrayView4};
use proptest::prelude::*;

const TOLERANCE: f64 = 1e-11;

/// Images `(N, H, W, C)` with this mean; no channel is constant.
fn images(dims: (usize, usize, usize, usize), mean: f64, seed: u64) -> Array4<f64> {
    let (n, h, w, c) = dims;
    let mut x = random::<f64>((n * h * w, c), seed) * 0.5 + mean;
    for (i, mut row) in x.rows_mut().into_iter().enumerate() {
        row += if i % 2 == 0 { 1.0 } else { -1.0 };
    }
    x.into_shape_with_order(dims).unwrap()
}

fn pixels(x: &Array4<f64>) -> Array2<f64> {
    let c = x.dim().3;
    x.to_shape((x.len() / c, c)).unwrap().to_owned()
}

fn channels_first(x: &Array4<f64>) -> Array4<f64> {
    let moved: ArrayView4<'_, f64> = x.view().permuted_axes([0, 3, 1, 2]);
    moved.as_standard_layout().into_owned()
}

/// `(y, dx, dgamma, dbeta)` of one training step.
type Step = (Array4<f64>, Array4<f64>, Array1<f64>, Array1<f64>);

fn step(
    layout: Layout,
    x: &Array4<f64>,
    dout: &Array4<f64>,
    gamma_beta: &[Array1<f64>; 2],
) -> Step {
    let [gamma, beta] = gamma_beta.clone();
    let mut bn = BatchNormalization::new(gamma.len(), BatchNormConfig::book())
        .unwrap()
        .with_layout(layout)
        .with_gamma_beta(gamma, beta)
        .unwrap();
    let y = bn.forward(x.view(), Mode::Train).unwrap();
    let dx = bn.backward(x.view(), dout.view()).unwrap();
    let (dgamma, dbeta) = (
        bn.dgamma().unwrap().to_owned(),
        bn.dbeta().unwrap().to_owned(),
    );
    (y, dx, dgamma, dbeta)
}

fn gamma_beta(channels: usize, seed: u64) -> [Array1<f64>; 2] {
    [
        random_row(channels, 1.5, seed),
        random_row(channels, 0.0, seed + 1),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_layer_agrees_with_the_naive_form(
        n in 2usize..40,
        (h, w) in (1usize..4, 1usize..5),
        c in 1usize..40,
        mean in -1e3..1e3,
        seed in 0u64..1000,
    ) {
        let (x, dout) = (images((n, h, w, c), mean, seed), images((n, h, w, c), 0.0, seed + 1));
        let gamma_beta = gamma_beta(c, seed + 2);
        let (y, dx, dgamma, dbeta) = step(Layout::ChannelsLast, &x, &dout, &gamma_beta);
        let [gamma, beta] = &gamma_beta;
        let eps = BatchNormConfig::book().eps;
        let (want_y, saved) = naive::batch_norm_train(&pixels(&x), gamma, beta, eps);
        let (want_dx, want_dgamma, want_dbeta) =
            naive::batch_norm_backward(&pixels(&dout), gamma, &saved);
        let mut compare = Compare::to(TOLERANCE);
        compare.same("y", &y, &want_y);
        compare.same("dx", &dx, &want_dx);
        compare.same("dgamma", &dgamma, &want_dgamma);
        compare.same("dbeta", &dbeta, &want_dbeta);
    }

    #[test]
    fn channels_first_is_channels_last_permuted(
        n in 2usize..20,
        (h, w) in (1usize..6, 1usize..40),
        c in 1usize..20,
        mean in -1e3..1e3,
        seed in 0u64..1000,
    ) {
        let (x, dout) = (images((n, h, w, c), mean, seed), images((n, h, w, c), 0.0, seed + 1));
        let gamma_beta = gamma_beta(c, seed + 2);
        let (y, dx, dgamma, dbeta) = step(Layout::ChannelsLast, &x, &dout, &gamma_beta);
        let (x, dout) = (channels_first(&x), channels_first(&dout));
        let first = step(Layout::ChannelsFirst, &x, &dout, &gamma_beta);
        let mut compare = Compare::to(TOLERANCE);
        compare.same("y", &first.0, &channels_first(&y));
        compare.same("dx", &first.1, &channels_first(&dx));
        compare.same("dgamma", &first.2, &dgamma);
        compare.same("dbeta", &first.3, &dbeta);
    }

    #[test]
    fn per_position_is_dense_on_flattened_rows(
        n in 2usize..20,
        (h, w) in (1usize..4, 1usize..5),
        c in 1usize..6,
        mean in -1e3..1e3,
        seed in 0u64..1000,
    ) {
        let (x, dout) = (images((n, h, w, c), mean, seed), images((n, h, w, c), 0.0, seed + 1));
        let gamma_beta = gamma_beta(h * w * c, seed + 2);
        let (y, dx, ..) = step(Layout::PerPosition, &x, &dout, &gamma_beta);
        let dense = |x: &Array4<f64>| {
            let rows = x.to_shape((n, 1, 1, h * w * c));
            rows.unwrap().to_owned()
        };
        let want = step(Layout::ChannelsLast, &dense(&x), &dense(&dout), &gamma_beta);
        prop_assert_eq!((bits(&y), bits(&dx)), (bits(&want.0), bits(&want.1)));
    }
}
