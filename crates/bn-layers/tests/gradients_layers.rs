//! The backward passes of activations with parameters or over classes and of the normalisations of each
//! row, against central differences in f64, to a relative difference below 1e-6.

use crate::common::{random, random_row};
use bn_layers::{
    Elu, Gelu, GradientCheck, GroupNorm, InstanceNorm, Layer, LayerNorm, LogSoftmax, MaxPool2d,
    PRelu, Relu6, Silu, Softmax,
};

fn passes(mut layer: impl Layer<f64>, (n, d): (usize, usize), params: usize) {
    let x = random((n, d), 1).mapv_into(|x: f64| 3.0 * x);
    let report = GradientCheck::default()
        .check(&mut layer, x.view())
        .unwrap();
    assert!(report.worst().relative < 1e-6, "{layer:?}\n{report}");
    assert_eq!(report.params.len(), params + 1, "{layer:?}");
}

#[test]
fn activations() {
    for n in [1, 5, 64] {
        for d in [1, 3, 12] {
            passes(Elu::new(0.7).unwrap(), (n, d), 0);
            passes(Gelu::new(), (n, d), 0);
            passes(Gelu::tanh(), (n, d), 0);
            passes(Relu6, (n, d), 0);
            passes(Silu, (n, d), 0);
            passes(Softmax::new(d).unwrap(), (n, d), 0);
            passes(LogSoftmax::new(d).unwrap(), (n, d), 0);
            passes(PRelu::new(1, 0.3).unwrap(), (n, d), 1);
            let slopes = random_row(d, 0.0, 2);
            passes(
                PRelu::new(d, 0.0).unwrap().with_slopes(slopes).unwrap(),
                (n, d),
                1,
            );
        }
        // Pixels with three channels.
        passes(Softmax::new(3).unwrap(), (n, 12), 0);
        passes(LogSoftmax::new(3).unwrap(), (n, 12), 0);
        passes(PRelu::new(3, 0.3).unwrap(), (n, 12), 1);
        passes(MaxPool2d::global((2, 3, 4)).unwrap(), (n, 24), 0);
    }
}

#[test]
fn normalisations() {
    for n in [1, 5, 32] {
        for d in [3, 6, 33] {
            let (gamma, beta) = (random_row(d, 1.5, 3), random_row(d, 0.0, 4));
            let norm = LayerNorm::new(d).unwrap();
            passes(norm.with_gamma_beta(gamma, beta).unwrap(), (n, d), 2);
            passes(LayerNorm::new(d).unwrap().without_affine(), (n, 3 * d), 0);
        }
        for pixels in [1, 4] {
            let (gamma, beta) = (random_row(6, 1.5, 5), random_row(6, 0.0, 6));
            let norm = GroupNorm::new(2, 6).unwrap();
            passes(
                norm.with_gamma_beta(gamma, beta).unwrap(),
                (n, 6 * pixels),
                2,
            );
        }
        let (gamma, beta) = (random_row(3, 1.5, 7), random_row(3, 0.0, 8));
        let norm = InstanceNorm::new(3).unwrap();
        passes(norm.with_gamma_beta(gamma, beta).unwrap(), (n, 15), 2);
    }
}
