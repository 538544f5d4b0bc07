//! What the tests share: networks, batches, and what is compared.

use bn_dist::{DataParallel, World};
use bn_layers::{LayerExt, Scalar};
use bn_net::{
    Adam, BatchNormConvNet, Error, HiddenActivation, MultiLayerNetConfig, Network, NetworkBuilder,
    Optimizer, SoftmaxWithLoss,
};
use bytemuck::Pod;
use ndarray::{Array2, Axis, Slice};

/// The book's network of five hidden layers, with Batch Normalization and Dropout.
pub(crate) fn book<T: Scalar>(activation: HiddenActivation) -> Network<T> {
    let config = MultiLayerNetConfig {
        activation,
        use_batchnorm: true,
        use_dropout: true,
        dropout_ratio: 0.2,
        weight_decay_lambda: 1e-4,
        ..MultiLayerNetConfig::new(784, &[100; 5], 10)
    };
    let network = bn_net::MultiLayerNet::<T>::new(&config, 1).unwrap();
    network.network().clone()
}

pub(crate) fn conv<T: Scalar>() -> Network<T> {
    let config = BatchNormConvNet {
        hidden: Some(16),
        dropout: 0.1,
        ..BatchNormConvNet::new((28, 28, 1), &[(4, 2), (6, 2)], 10)
    };
    config.builder().build(1).unwrap()
}

/// Images of noise, with labels that depend on them.
pub(crate) fn batch<T: Scalar>(step: usize, rows: usize, width: usize) -> (Array2<T>, Vec<usize>) {
    let x = Array2::from_shape_fn((rows, width), |(n, d)| {
        let i = (step * rows + n) * width + d;
        T::from_f64(((i as f64 * 1.7).sin() * 43_758.545_3).fract())
    });
    let label = |row: ndarray::ArrayView1<'_, T>| {
        let parts = row.axis_chunks_iter(Axis(0), width.div_ceil(10));
        let sums = parts.map(|part| part.sum().as_f64()).enumerate();
        sums.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
    };
    let labels = x.rows().into_iter().map(label).collect();
    (x, labels)
}

/// What a rank has in the end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trained<T> {
    pub(crate) losses: Vec<f64>,
    pub(crate) values: Vec<T>, // parameters and running statistics
}

impl<T: Scalar> Trained<T> {
    pub(crate) fn new(losses: Vec<f64>, network: &Network<T>) -> Self {
        let mut values = Vec::new();
        network.visit(&mut |p| values.extend(p.value));
        Self { losses, values }
    }
}

/// Trains for some steps with batches of `rows` rows, of which each rank has its part.
pub(crate) fn train<T: Scalar + Pod>(
    world: &World,
    mut network: Network<T>,
    mut optimizer: Box<dyn Optimizer<T>>,
    steps: usize,
    rows: usize,
) -> Result<Trained<T>, Error> {
    let mut loss = SoftmaxWithLoss::new();
    // Small buckets, so that there are several.
    let mut parallel = DataParallel::new(world)?.bucket_bytes(1 << 16)?;
    let mine = parallel.rows(rows);
    let mut losses = Vec::new();
    for step in 0..steps {
        let (x, t) = batch::<T>(step, rows, network.input().size());
        let x = x.slice_axis(Axis(0), Slice::from(mine.clone()));
        let t = (&t[mine.clone()]).into();
        losses.push(parallel.train_step(&mut network, x, t, &mut loss, &mut *optimizer)?);
    }
    Ok(Trained::new(losses, &network))
}

pub(crate) fn adam<T: Scalar>() -> Box<dyn Optimizer<T>> {
    Box::new(Adam::pytorch(0.001).unwrap())
}

/// A small network for `width` inputs and ten classes.
pub(crate) fn small<T: Scalar>(width: usize) -> Network<T> {
    let builder = NetworkBuilder::<T>::new(width)
        .affine(65)
        .batch_norm()
        .relu();
    builder.affine(10).build(1).unwrap()
}
