//! What several ranks are compared with.

use crate::common::{Trained, batch};
use bn_layers::Scalar;
use bn_net::{Network, Optimizer, Sgd, SoftmaxWithLoss};

/// The largest difference of a loss, relative to it, and of a value, relative to the largest one.
pub(crate) fn difference<T: Scalar>(a: &Trained<T>, b: &Trained<T>) -> f64 {
    let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    let values = a.values.iter().zip(&b.values);
    let values = largest(&mut values.map(|(a, b)| (a.as_f64() - b.as_f64()).abs()));
    let scale = largest(&mut b.values.iter().map(|v| v.as_f64().abs()));
    let losses = a.losses.iter().zip(&b.losses);
    let losses = largest(&mut losses.map(|(a, b)| (a - b).abs() / b.abs()));
    losses.max(values / scale)
}

/// The same in one process, on whole batches.
pub(crate) fn alone<T: Scalar>(
    mut network: Network<T>,
    mut optimizer: Box<dyn Optimizer<T>>,
    steps: usize,
    rows: usize,
) -> Trained<T> {
    let mut loss = SoftmaxWithLoss::new();
    let mut losses = Vec::new();
    for step in 0..steps {
        let (x, t) = batch::<T>(step, rows, network.input().size());
        let value = network.train_step(x.view(), (&t).into(), &mut loss, &mut *optimizer);
        losses.push(value.unwrap());
    }
    Trained::new(losses, &network)
}

pub(crate) fn sgd<T: Scalar>() -> Box<dyn Optimizer<T>> {
    Box::new(Sgd::new(0.01).unwrap())
}
