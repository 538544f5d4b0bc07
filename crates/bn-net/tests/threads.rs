//! Networks beside tasks of the program on threads of rayon: nothing hangs.

use crate::common::child;
use bn_net::{Network, Sgd, SoftmaxWithLoss};
use ndarray::Array2;
use std::{
    sync::{Arc, Mutex},
    thread,
};

fn network() -> Network<f32> {
    let builder = Network::builder(784).affine(100).batch_norm().relu();
    builder.affine(10).build(1).unwrap()
}

fn images() -> Array2<f32> {
    Array2::from_shape_fn((100, 784), |(n, d)| ((n * 784 + d) as f32).sin())
}

#[test]
fn a_step_does_not_wait_for_a_long_job_of_rayon() {
    child::run(|| {
        for _ in 0..2 {
            rayon::spawn(thread::park);
        }
        let labels: Vec<usize> = (0..100).map(|n| n % 10).collect();
        let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1).unwrap());
        let x = images();
        let value = network().train_step(x.view(), (&labels).into(), &mut loss, &mut sgd);
        assert!(value.unwrap().is_finite());
    });
}

#[test]
fn tasks_of_rayon_may_predict_with_a_network_behind_a_lock() {
    child::run(|| {
        let (network, x) = (network(), images());
        let expected = network.predict(x.view()).unwrap();
        let network = Arc::new(Mutex::new(network));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2);
        let pool = pool.build().unwrap();
        for _ in 0..5 {
            pool.scope(|scope| {
                for _ in 0..64 {
                    scope.spawn(|_| {
                        let y = network.lock().unwrap().predict(x.view()).unwrap();
                        assert_eq!(y, expected);
                    });
                }
            });
        }
    });
}
