//! BatchNormalization of values whose squares or sums the element type cannot hold, above 1.8e19 in
//! f32: the result is correct or an error, never a wrong number.

use crate::common::{AnyShape, bits, random, random_row, state};
use bn_layers::{
    BatchNormCache, BatchNormConfig, BatchNormalization, Error, LayerExt, Layout, LeakyRelu, Mode,
    Relu, batch_norm_backward, batch_norm_train, fusion, naive,
};
use bn_tensor::Scalar;
use ndarray::{Array1, Array2, Array3, Axis, array};

/// Channels of extreme values, with a name for each.
fn channels() -> Vec<(&'static str, Vec<f32>)> {
    let alternating = |value: f32| -> Vec<f32> {
        let sign = |i: u32| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        (0..100).map(|i| sign(i) * value).collect()
    };
    let mut spread = alternating(3e38);
    for (i, value) in spread.iter_mut().enumerate() {
        *value = random::<f32>((1, 100), 1)[[0, i]] * 2e38;
    }
    vec![
        ("two of 1.9e19", vec![-1.9e19, 1.9e19]),
        ("two of 1e30", vec![-1e30, 1e30]),
        ("100 of 1.9e19", alternating(1.9e19)),
        ("100 of 1e30", alternating(1e30)),
        ("100 of 1e38", alternating(1e38)),
        ("100 spread over 4e38", spread),
        ("the largest", vec![3e38, -3e38, -3e38]),
        // All within a few units in the last place of 3e38, which is 2e31.
        (
            "a mean of 3e38",
            (0..100)
                .map(|i| f32::from_bits(3e38f32.to_bits() + i % 7))
                .collect(),
        ),
        (
            "one outlier",
            (0..100).map(|i| if i == 3 { 1e25 } else { 1.0 }).collect(),
        ),
    ]
}

/// `(y, dx, dgamma, dbeta)` of a channel.
type Step = (Vec<f64>, Vec<f64>, f64, f64);

/// The naive form in f64, followed by a rectifier with this slope.
fn reference(x: &[f32], dout: &[f32], [gamma, beta]: [f32; 2], slope: f64) -> Step {
    let column =
        |values: &[f32]| Array2::from_shape_fn((values.len(), 1), |(i, _)| f64::from(values[i]));
    let eps = BatchNormConfig::book().eps;
    let (gamma, beta) = (array![f64::from(gamma)], array![f64::from(beta)]);
    let (z, saved) = naive::batch_norm_train(&column(x), &gamma, &beta, eps);
    let factor = z.mapv(|z| if z > 0.0 { 1.0 } else { slope });
    let (dx, dgamma, dbeta) = naive::batch_norm_backward(&(column(dout) * &factor), &gamma, &saved);
    let y = z * factor;
    (
        y.into_iter().collect(),
        dx.into_iter().collect(),
        dgamma[0],
        dbeta[0],
    )
}

/// `x: (outer, 3, inner)`: the extreme channel between two ordinary ones.
fn batch(extreme: &[f32], inner: usize) -> Array3<f32> {
    let outer = extreme.len() / inner;
    let mut x = Array3::from_shape_fn((outer, 3, inner), |(i, c, j)| {
        ((i * 7 + c * 3 + j * 5) % 11) as f32 - 4.0
    });
    for (i, row) in extreme.chunks(inner).enumerate() {
        for (j, &value) in row.iter().enumerate() {
            x[[i, 1, j]] = value;
        }
    }
    x
}

fn gamma_beta() -> [Array1<f32>; 2] {
    [random_row(3, 1.5, 2), random_row(3, 0.0, 3)]
}

fn channel(values: &Array3<f32>, c: usize) -> Vec<f32> {
    values.index_axis(Axis(1), c).iter().copied().collect()
}

/// Compares to 1e-5, relative to the terms of each result, because their sum may be nearly 0.
fn assert_close(name: &str, got: &Step, want: &Step, [x, dout]: [&[f32]; 2], gamma: f32) {
    let n = x.len() as f64;
    let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let var = x
        .iter()
        .map(|&x| (f64::from(x) - mean).powi(2))
        .sum::<f64>()
        / n;
    let largest = dout.iter().fold(0.0f32, |m, d| m.max(d.abs()));
    let dx_scale = f64::from(gamma.abs() * largest) / (var + BatchNormConfig::book().eps).sqrt();
    let close = |what: &str, got: f64, want: f64, scale: f64| {
        let error = (got - want).abs() / scale;
        assert!(error < 1e-5, "{name}: {what} {got:e}, not {want:e}");
    };
    for (got, want) in got.0.iter().zip(&want.0) {
        close("y", *got, *want, want.abs().max(1.0));
    }
    for (got, want) in got.1.iter().zip(&want.1) {
        close("dx", *got, *want, dx_scale);
    }
    close("dgamma", got.2, want.2, want.2.abs().max(1.0));
    close("dbeta", got.3, want.3, want.3.abs().max(1.0));
}

fn functional(x: &Array3<f32>, dout: &Array3<f32>) -> [Step; 3] {
    let [gamma, beta] = gamma_beta();
    let (mut y, mut dx) = (Array3::zeros(x.dim()), Array3::zeros(x.dim()));
    let (mut dgamma, mut dbeta) = ([0.0; 3], [0.0; 3]);
    let (gamma, mut cache) = (Some(gamma.view()), BatchNormCache::default());
    let (beta, config) = (Some(beta.view()), BatchNormConfig::book());
    batch_norm_train(
        x.view(),
        gamma,
        beta,
        None,
        &config,
        &mut cache,
        y.view_mut(),
    )
    .unwrap();
    batch_norm_backward(
        x.view(),
        dout.view(),
        gamma,
        &mut cache,
        Some(&mut dgamma),
        Some(&mut dbeta),
        Some(dx.view_mut()),
    )
    .unwrap();
    steps(&y, &dx, dgamma, dbeta)
}

fn steps(y: &Array3<f32>, dx: &Array3<f32>, dgamma: [f32; 3], dbeta: [f32; 3]) -> [Step; 3] {
    let wide = |values: Vec<f32>| values.into_iter().map(f64::from).collect();
    std::array::from_fn(|c| {
        let (y, dx) = (wide(channel(y, c)), wide(channel(dx, c)));
        (y, dx, dgamma[c].into(), dbeta[c].into())
    })
}

fn layer(layout: Layout, rectifier: Option<f64>) -> AnyShape<BatchNormalization<f32>> {
    let [gamma, beta] = gamma_beta();
    let bn = BatchNormalization::new(3, BatchNormConfig::book()).unwrap();
    let bn = bn.with_layout(layout).with_gamma_beta(gamma, beta);
    let mut bn = AnyShape(bn.unwrap());
    match rectifier {
        None => {}
        Some(0.0) => assert!(fusion::fuse(&mut bn.0, &Relu)),
        Some(slope) => assert!(fusion::fuse(&mut bn.0, &LeakyRelu::new(slope).unwrap())),
    }
    bn
}

fn through_layer(x: &Array3<f32>, dout: &Array3<f32>, rectifier: Option<f64>) -> [Step; 3] {
    let (outer, channels, inner) = x.dim();
    let layout = match inner {
        1 => Layout::ChannelsLast,
        _ => Layout::ChannelsFirst,
    };
    let rows = |values: &Array3<f32>| {
        let rows = values
            .clone()
            .into_shape_with_order((outer, channels * inner));
        rows.unwrap()
    };
    let mut bn = layer(layout, rectifier);
    let y = bn.forward(rows(x).view(), Mode::BatchStats).unwrap();
    let dx = bn.backward(rows(x).view(), y.view(), rows(dout).view());
    let cube = |values: Array2<f32>| values.into_shape_with_order(x.dim()).unwrap();
    let gradient = |values: ndarray::ArrayView1<'_, f32>| std::array::from_fn(|c| values[c]);
    steps(
        &cube(y),
        &cube(dx.unwrap()),
        gradient(bn.0.dgamma().unwrap()),
        gradient(bn.0.dbeta().unwrap()),
    )
}

/// Compares the extreme channel with f64, and the others bit for bit with a batch without it.
fn check(inner: usize, run: impl Fn(&Array3<f32>, &Array3<f32>) -> [Step; 3], slope: f64) {
    for (name, values) in channels() {
        if !values.len().is_multiple_of(inner) {
            continue;
        }
        let x = batch(&values, inner);
        let dout = random::<f32>((1, x.len()), 4);
        let dout = dout.into_shape_with_order(x.dim()).unwrap();
        let got = run(&x, &dout);
        let [gamma, beta] = gamma_beta().map(|values| values[1]);
        let (dout_1, name) = (channel(&dout, 1), format!("{name}, inner {inner}"));
        let want = reference(&values, &dout_1, [gamma, beta], slope);
        assert_close(&name, &got[1], &want, [&values, &dout_1], gamma);
        let without = run(&batch(&vec![0.5; values.len()], inner), &dout);
        for c in [0, 2] {
            let (got, want) = (&got[c], &without[c]);
            assert_eq!(
                (bits(&got.0), bits(&got.1)),
                (bits(&want.0), bits(&want.1)),
                "{name}"
            );
            assert_eq!((got.2, got.3), (want.2, want.3), "{name}");
        }
    }
}

#[test]
fn in_the_functional_form() {
    check(1, functional, 1.0);
    check(2, functional, 1.0);
    check(5, functional, 1.0);
}

#[test]
fn through_the_layer() {
    for inner in [1, 2, 5] {
        check(inner, |x, dout| through_layer(x, dout, None), 1.0);
    }
}

#[test]
fn with_a_rectifier_in_the_same_pass() {
    for inner in [1, 5] {
        for slope in [0.0, 0.25] {
            check(inner, |x, dout| through_layer(x, dout, Some(slope)), slope);
        }
    }
}

/// Any two different values become −1 and 1.
#[test]
fn two_rows_are_minus_one_and_one() {
    for size in [1.9e19f32, 1e30, 1e38] {
        let bn = BatchNormalization::new(1, BatchNormConfig::book());
        let x = array![[-size], [size]];
        let y = bn.unwrap().forward(x.view(), Mode::BatchStats).unwrap();
        assert_eq!(y, array![[-1.0], [1.0]], "{size:e}");
    }
}

/// A NaN in another channel stays NaN, and the next ordinary batch is normalised as usual.
#[test]
fn beside_a_nan_and_before_an_ordinary_batch() {
    let x = array![[1e30f32, 1.0, 2.0], [-1e30, f32::NAN, 4.0]];
    let mut bn = layer(Layout::ChannelsLast, None);
    let y = bn.forward(x.view(), Mode::BatchStats).unwrap();
    let nan = |c| y.column(c).iter().all(|v: &f32| v.is_nan());
    assert_eq!([nan(0), nan(1), nan(2)], [false, true, false]);
    let [gamma, beta] = gamma_beta();
    assert!((y[[0, 0]] - (beta[0] + gamma[0])).abs() < 1e-5);

    let ordinary = random::<f32>((6, 3), 5);
    let mut fresh = layer(Layout::ChannelsLast, None);
    let [got, want] = [&mut bn, &mut fresh].map(|bn| {
        let y = bn.forward(ordinary.view(), Mode::BatchStats).unwrap();
        let dx = bn.backward(ordinary.view(), y.view(), ordinary.view());
        (bits(&y), bits(&dx.unwrap()), state::<f32>(bn))
    });
    assert_eq!(got, want);
}

fn refused<T: Scalar>(size: f64) {
    let ordinary = |seed| random::<T>((6, 3), seed);
    let mut extreme = ordinary(1);
    for (i, x) in extreme.column_mut(1).iter_mut().enumerate() {
        *x = T::from_f64(if i % 2 == 0 { size } else { -size });
    }
    let bn = BatchNormalization::<T>::new(3, BatchNormConfig::default()).unwrap();
    let good = |bn: &mut BatchNormalization<T>, seed| {
        let y = bn.forward(ordinary(seed).view(), Mode::Train).unwrap();
        let dx = bn.backward(ordinary(seed).view(), ordinary(9).view());
        (bits(&y), bits(&dx.unwrap()), state::<T>(bn))
    };
    let (mut bn, mut untouched) = (bn.clone(), bn);
    assert_eq!(good(&mut bn, 2), good(&mut untouched, 2));
    let before = state::<T>(&bn);
    for _ in 0..2 {
        let error = bn.forward(extreme.view(), Mode::Train).unwrap_err();
        let named = matches!(
            error,
            Error::Statistics {
                what: "variance",
                channel: 1,
                ..
            }
        );
        assert!(named, "{error}");
        assert!(
            error.to_string().contains(std::any::type_name::<T>()),
            "{error}"
        );
        assert_eq!(state::<T>(&bn), before);
        // A backward pass after the failed forward pass returns an error.
        let error = bn.backward(extreme.view(), ordinary(9).view()).unwrap_err();
        assert!(matches!(error, Error::NoForward { .. }), "{error}");
        assert_eq!(state::<T>(&bn), before);
    }
    for seed in [3, 4] {
        assert_eq!(good(&mut bn, seed), good(&mut untouched, seed));
    }
    let y = |bn: &BatchNormalization<T>| bits(&bn.eval(extreme.view()).unwrap());
    assert_eq!(y(&bn), y(&untouched));
}

#[test]
fn training_refuses_statistics_that_its_type_cannot_hold() {
    for size in [1.9e19, 1e30, 3e38] {
        refused::<f32>(size);
    }
    refused::<f64>(1.4e154);
    refused::<f64>(1e160);
}

/// Up to that limit, training works and the running statistics are updated.
#[test]
fn training_accepts_statistics_that_its_type_can_hold() {
    let x = array![[1.8e19f32], [-1.8e19]];
    let mut bn = BatchNormalization::new(1, BatchNormConfig::default()).unwrap();
    let y = bn.forward(x.view(), Mode::Train).unwrap();
    assert_eq!(y, array![[1.0], [-1.0]]);
    let var = bn.running().unwrap().var[0];
    assert!((var / 3.24e38 - 1.0).abs() < 1e-6, "{var:e}");
    assert!(
        bn.eval(x.view())
            .unwrap()
            .iter()
            .all(|v| (v.abs() - 1.0).abs() < 1e-5)
    );
}

/// The statistics are in f64, which cannot hold the squares of such values. The result is NaN, not the 0
/// of a division by infinity.
#[test]
fn beyond_f64_a_channel_is_nan() {
    for size in [1e160, 1e300, f64::MAX] {
        let x = array![[size, 1.0], [-size, 3.0], [size, 8.0]];
        let ordinary = array![[5.0, 1.0], [-5.0, 3.0], [5.0, 8.0]];
        let dout = random::<f64>((3, 2), 6);
        let run = |x: &Array2<f64>| {
            let bn = BatchNormalization::new(2, BatchNormConfig::book());
            let mut bn = bn.unwrap();
            let y = bn.forward(x.view(), Mode::BatchStats).unwrap();
            (y, bn.backward(x.view(), dout.view()).unwrap())
        };
        let ((y, dx), want) = (run(&x), run(&ordinary));
        assert!(y.column(0).iter().all(|v| v.is_nan()), "{size:e}: {y}");
        assert!(dx.column(0).iter().all(|v| v.is_nan()), "{size:e}: {dx}");
        for (got, want) in [(&y, &want.0), (&dx, &want.1)] {
            assert_eq!(bits(got.column(1)), bits(want.column(1)), "{size:e}");
        }
    }
}
