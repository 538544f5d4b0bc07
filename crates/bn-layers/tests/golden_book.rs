//! Every case of `golden/book.json`, the formulas of *Deep Learning from Scratch* in NumPy's f64,
//! to 1e-12 relative to `max(1, |want|)`: a few roundings, at the sizes of these batches.

use crate::common::{
    Compare, evaluated,
    golden::{AffineCase, Arr, BatchNormCase, Golden},
};
use bn_layers::{Affine, BatchNormConfig, LayerExt, Layout, Mode, Relu, Sigmoid, naive};
use bn_tensor::Scalar;
use ndarray::{Array1, Array2};

const TOLERANCE: f64 = 1e-12;

/// The preset of a case. The settings in the file must be those of the preset.
fn preset(case: &BatchNormCase) -> BatchNormConfig {
    let config = match &*case.name {
        "paper" => BatchNormConfig::paper(),
        _ => BatchNormConfig::book(),
    };
    assert_eq!(config.eps, case.config.eps);
    let unbiased = case.config.running_var.as_deref() == Some("unbiased");
    assert_eq!(config.unbiased_running_var, unbiased);
    assert_eq!(case.config.momentum_kept.is_none(), case.name == "paper");
    config
}

#[test]
fn batch_normalization_in_each_layout() {
    let golden = Golden::read("book.json");
    let mut compare = Compare::to(TOLERANCE);
    let mut layouts = Vec::new();
    for case in &golden.batch_norm {
        assert_eq!(case.updates.len(), 3);
        let layout = case.config.layout();
        case.check_layer::<f64>(preset(case), layout, &mut compare);
        layouts.push(layout);
    }
    for layout in [
        Layout::ChannelsLast,
        Layout::ChannelsFirst,
        Layout::PerPosition,
    ] {
        assert!(layouts.contains(&layout), "{layout:?}");
    }
}

#[test]
fn batch_normalization_in_the_functional_form() {
    let golden = Golden::read("book.json");
    let mut compare = Compare::to(TOLERANCE);
    for case in &golden.batch_norm {
        case.check_functional::<f64>(preset(case), case.config.layout(), &mut compare);
    }
}

/// The columns that each have their own statistics, `(N, C)` or `(N·H·W, C)`.
fn columns(case: &BatchNormCase, values: &Arr) -> Array2<f64> {
    let (outer, channels, inner) = case.view(case.config.layout());
    let seen = values
        .full::<f64>()
        .into_shape_with_order((outer, channels, inner))
        .unwrap();
    let columns: Vec<f64> = seen.permuted_axes([0, 2, 1]).iter().copied().collect();
    Array2::from_shape_vec((outer * inner, channels), columns).unwrap()
}

#[test]
fn the_naive_form() {
    let golden = Golden::read("book.json");
    let mut compare = Compare::to(TOLERANCE);
    for case in &golden.batch_norm {
        let vector = |values: &Option<Arr>| -> Array1<f64> { values.as_ref().unwrap().vector() };
        let (gamma, beta) = (vector(&case.gamma), vector(&case.beta));
        for (step, pass) in case.updates.iter().enumerate() {
            let at = format!("{} naive {step}", case.name);
            let x = columns(case, &pass.x);
            let (y, saved) = naive::batch_norm_train(&x, &gamma, &beta, case.config.eps);
            let (dx, dgamma, dbeta) =
                naive::batch_norm_backward(&columns(case, &pass.dout), &gamma, &saved);
            compare.same(&format!("{at} y"), &y, &columns(case, &pass.y));
            compare.same(&format!("{at} dx"), &dx, &columns(case, &pass.dx));
            let want = vector(&pass.dgamma);
            compare.same(&format!("{at} dgamma"), &dgamma, &want);
            compare.same(&format!("{at} dbeta"), &dbeta, &vector(&pass.dbeta));
        }
    }
}

/// Checks Affine's own methods, which keep the shape of an image as in the book, and the trait.
fn check_affine<T: Scalar>(case: &AffineCase, compare: &mut Compare) {
    assert_eq!(case.weight_layout, "(in, out)");
    let name = &case.name;
    let mut affine = Affine::new(case.weight.rows::<T>(), case.bias.vector()).unwrap();
    let (x, dout) = (case.x.full::<T>(), case.dout.rows::<T>());
    for mode in [Mode::Train, Mode::BatchStats, Mode::Eval] {
        let y = affine.forward(x.view(), mode).unwrap();
        let dx = affine.backward(x.view(), dout.view()).unwrap();
        assert_eq!(dx.shape(), x.shape());
        compare.same(&format!("{name} {mode:?} y"), &y, &case.y.data);
        compare.same(&format!("{name} {mode:?} dx"), &dx, &case.dx.data);
        compare.same(&format!("{name} dw"), affine.dw(), &case.dweight.data);
        compare.same(&format!("{name} db"), affine.db(), &case.dbias.data);
    }
    let x = case.x.rows::<T>();
    let y = evaluated(&affine, x.view(), dout.ncols());
    compare.same(&format!("{name} eval_into y"), &y, &case.y.data);

    // Without a bias, y is smaller by the bias, and the other gradients are the same.
    let mut affine = Affine::without_bias(case.weight.rows::<T>()).unwrap();
    let y = LayerExt::forward(&mut affine, x.view(), Mode::Train).unwrap();
    let dx = LayerExt::backward(&mut affine, x.view(), y.view(), dout.view()).unwrap();
    let want = case.y.rows::<f64>() - &case.bias.vector::<f64>();
    compare.same(&format!("{name} without bias y"), &y, &want);
    compare.same(&format!("{name} without bias dx"), &dx, &case.dx.data);
    compare.same(&format!("{name} dw"), affine.dw(), &case.dweight.data);
}

#[test]
fn affine_of_vectors_and_images() {
    let golden = Golden::read("book.json");
    let mut compare = Compare::to(TOLERANCE);
    let shapes: Vec<_> = golden.affine.iter().map(|c| c.x.shape.len()).collect();
    assert_eq!(shapes, [2, 4]);
    for case in &golden.affine {
        check_affine::<f64>(case, &mut compare);
    }
}

#[test]
fn activations() {
    let golden = Golden::read("book.json");
    let mut compare = Compare::to(TOLERANCE);
    assert_eq!(golden.activation.len(), 2);
    for case in &golden.activation {
        match &*case.name {
            "sigmoid" => case.check::<f64>(&mut Sigmoid, &mut compare),
            "relu" => case.check::<f64>(&mut Relu, &mut compare),
            other => panic!("activation {other}?"),
        }
    }
}

/// The inputs are exact in f32 too. The tolerance 1e-6 is eight units in the last place of 1.
#[test]
fn in_single_precision() {
    let golden = Golden::read("book.json");
    let mut compare = Compare::to(1e-6);
    for name in [
        "dense",
        "large_mean",
        "image_per_position",
        "image_channels_first",
    ] {
        let case = golden.batch_norm(name);
        case.check_layer::<f32>(preset(case), case.config.layout(), &mut compare);
        case.check_functional::<f32>(preset(case), case.config.layout(), &mut compare);
    }
    for case in &golden.affine {
        check_affine::<f32>(case, &mut compare);
    }
}
