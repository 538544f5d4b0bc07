//! A network over the shards of a batch: the gradient is that of the whole batch.

use crate::{
    all_reduce::{AllReduce, Rank},
    common::assert_close,
};
use bn_layers::{Conv2dConfig, Layer, LayerExt, Mode, Outcome, Pass};
use bn_net::{Network, NetworkBuilder, Reduction, SoftmaxWithLoss};
use ndarray::{Array2, ArrayView2, Axis, Slice};

/// Batch Normalization inside and outside of blocks, and in a shortcut.
fn network() -> Network<f64> {
    let conv = |filters| Conv2dConfig::new(filters, 3).same().without_bias();
    NetworkBuilder::<f64>::new((4, 4, 2))
        .conv2d(conv(3))
        .batch_norm()
        .relu()
        .residual(move |b| b.conv2d(conv(3)).batch_norm().relu().conv2d(conv(3)))
        .relu()
        .residual_with(
            move |b| b.conv2d(conv(4).stride(2)).batch_norm(),
            |s| {
                s.conv2d(Conv2dConfig::new(4, 1).stride(2).without_bias())
                    .batch_norm()
            },
        )
        .relu()
        .concat(move |all| {
            all.branch(move |b| b.conv2d(conv(2)).batch_norm())
                .branch(|b| b.tanh())
        })
        .affine(3)
        .build(1)
        .unwrap()
}

/// All gradients one after the other, and all running statistics.
type Result = (Vec<f64>, Vec<f64>);

/// The loss is a sum: the gradients of the shards add up to that of the batch, whatever their sizes.
fn run(mut network: Network<f64>, x: ArrayView2<'_, f64>, t: &[usize], pass: &Pass<'_>) -> Result {
    let mut loss = SoftmaxWithLoss::new().with_reduction(Reduction::Sum);
    network.gradient_in(x, t.into(), &mut loss, pass).unwrap();
    network.settle(Outcome::Stands);
    let (mut gradients, mut running) = (Vec::new(), Vec::new());
    network.visit(&mut |p| match p.is_trained {
        true => gradients.extend(p.grad),
        false => running.extend(p.value),
    });
    (gradients, running)
}

#[test]
fn the_gradients_of_shards_add_up_to_that_of_the_batch() {
    let (network, rows) = (network(), [5, 1, 6]);
    let x = Array2::from_shape_fn((12, 32), |(n, d)| ((n * 32 + d) as f64 * 1.7).sin());
    let t: Vec<usize> = (0..12).map(|n| n % 3).collect();
    let (gradients, running) = run(network.clone(), x.view(), &t, &Pass::new(Mode::Train));

    let all_reduce = AllReduce::new(rows.len());
    let shards: Vec<Result> = std::thread::scope(|scope| {
        let mut begin = 0;
        let threads: Vec<_> = rows
            .iter()
            .enumerate()
            .map(|(rank, rows)| {
                let cut = begin..begin + rows;
                begin += rows;
                let (x, t) = (x.slice_axis(Axis(0), Slice::from(cut.clone())), &t[cut]);
                let (network, all_reduce) = (network.clone(), &all_reduce);
                scope.spawn(move || {
                    let rank = Rank { all_reduce, rank };
                    run(network, x, t, &Pass::sharded(Mode::Train, &rank))
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let mut sum = vec![0.0; gradients.len()];
    for (of_shard, running_of_shard) in &shards {
        sum.iter_mut().zip(of_shard).for_each(|(sum, g)| *sum += g);
        assert_close("running statistics", running_of_shard, &running, 1e-12);
    }
    assert_close("gradients", &sum, &gradients, 1e-12);
}
