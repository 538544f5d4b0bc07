//! The worst case of the bound in the module's documentation: the largest ordinary parameters,
//! gradients, learning rate and state, for every optimizer.

use super::{Gradients, LARGEST_GRADIENT, LARGEST_LEARNING_RATE, LARGEST_SHARE_KEPT};
use crate::{
    network::Network,
    optimizer::{AdaGrad, Adam, AdamW, Momentum, Nesterov, Optimizer, RmsProp, Sgd},
};
use bn_layers::LayerExt;
use std::collections::BTreeMap;

const LARGEST_STATE: f32 = 0.999e16; // 1e16 is rounded up

fn optimizers() -> Vec<Box<dyn Optimizer<f32>>> {
    let (lr, kept) = (LARGEST_LEARNING_RATE, LARGEST_SHARE_KEPT);
    let sgd = || Sgd::new(lr).unwrap().with_momentum(kept).unwrap();
    vec![
        Box::new(Sgd::new(lr).unwrap()),
        Box::new(sgd()),
        Box::new(sgd().with_nesterov()),
        Box::new(Momentum::new(lr, kept).unwrap()),
        Box::new(Nesterov::new(lr, kept).unwrap()),
        Box::new(AdaGrad::book(lr).unwrap()),
        Box::new(AdaGrad::pytorch(lr).unwrap()),
        Box::new(RmsProp::book(lr, kept).unwrap()),
        Box::new(RmsProp::pytorch(lr, kept).unwrap()),
        Box::new(Adam::book(lr).unwrap().with_betas(kept, kept).unwrap()),
        Box::new(Adam::pytorch(lr).unwrap().with_betas(kept, 0.0).unwrap()),
        Box::new(AdamW::new(lr, 1e-2).unwrap()),
    ]
}

/// Every combination of arrays that are 0 or as large as possible.
fn states(arrays: usize, len: usize) -> impl Iterator<Item = Vec<f32>> {
    (0..1u32 << arrays).map(move |bits| {
        let value = |i: usize| (bits >> (i / len) & 1) as f32 * LARGEST_STATE;
        (0..arrays * len).map(value).collect()
    })
}

#[test]
fn the_largest_ordinary_steps_leave_the_largest_parameters_finite() {
    let mut network: Network = Network::builder(1).affine(1).build(1).unwrap();
    for (k, mut optimizer) in optimizers().into_iter().enumerate() {
        let arrays = optimizer.state().map_or(0, |state| state.arrays());
        for state in states(arrays, 1) {
            // Adam's steps are largest with a large m and no gradient, thus a small v.
            for (sign, grad) in [(1.0, 1.0), (-1.0, 1.0), (1.0, 0.0), (-1.0, 0.0)] {
                let grad = -sign * grad * LARGEST_GRADIENT as f32; // away from 0
                if let Some(of_optimizer) = optimizer.state_mut() {
                    let names = ["layers.0.weight", "layers.0.bias"];
                    let values = names.map(|name| (name.to_owned(), state.clone()));
                    of_optimizer.restore(0, BTreeMap::from(values));
                }
                network.visit_mut(&mut |p| p.value.fill(sign * f32::MAX));
                for step in 0..200 {
                    network.visit_mut(&mut |p| p.grad.fill(grad));
                    let stays = optimizer.stays_finite(&Gradients::of(&network).unwrap());
                    assert!(stays, "optimizer {k}, {state:?}, step {step}");
                    optimizer.step(&mut network).unwrap();
                    network.visit(&mut |p| {
                        let at = format!("optimizer {k}, {state:?}, {} at step {step}", p.name);
                        assert!(p.value.iter().all(|v| v.is_finite()), "{at}: {:?}", p.value);
                    });
                }
            }
        }
    }
}

/// A step beyond the bound is checked afterwards.
#[test]
fn beyond_the_bound_a_step_is_looked_through() {
    let mut network: Network = Network::builder(1).affine(1).build(1).unwrap();
    for (k, mut optimizer) in optimizers().into_iter().enumerate() {
        let mut stays = |grad: f64, lr: f64| {
            network.visit_mut(&mut |p| p.grad.fill(grad as f32));
            optimizer.set_learning_rate(lr).unwrap();
            optimizer.stays_finite(&Gradients::of(&network).unwrap())
        };
        assert!(stays(1.0, 1.0), "optimizer {k}");
        assert!(!stays(1.01 * LARGEST_GRADIENT, 1.0), "optimizer {k}");
        assert!(!stays(1.0, 1.01 * LARGEST_LEARNING_RATE), "optimizer {k}");
    }
}
