//! A network over the shards of a batch: the gradient is that of the whole batch, with the same bits however
//! the shards are spread over processes.

use crate::{
    all_reduce::{AllReduce, Rank},
    common::assert_close,
};
use bn_layers::{Conv2dConfig, Layer, LayerExt, Mode, Outcome, Pass, Scalar};
use bn_net::{Loss, Network, NetworkBuilder, Reduction, SoftmaxWithLoss};
use ndarray::{Array2, ArrayView2, Axis, Slice};

/// Batch Normalization inside and outside of blocks, and in a shortcut; whatever else has parameters or draws.
fn network<T: Scalar>(weight_decay: f64) -> Network<T> {
    let conv = |filters| Conv2dConfig::new(filters, 3).same().without_bias();
    NetworkBuilder::<T>::new((4, 4, 2))
        .weight_decay(weight_decay)
        .conv2d(conv(3))
        .batch_norm()
        .relu()
        .conv2d(Conv2dConfig::new(3, 3).same())
        .relu()
        .dropout(0.3)
        .residual(move |b| {
            let b = b.conv2d(conv(3)).batch_norm().relu().dropout(0.2);
            b.conv2d(conv(3))
        })
        .relu()
        .residual_with(
            move |b| b.conv2d(conv(4).stride(2)).batch_norm(),
            |s| {
                s.conv2d(Conv2dConfig::new(4, 1).stride(2).without_bias())
                    .batch_norm()
            },
        )
        .prelu()
        .group_norm(2)
        .concat(move |all| {
            all.branch(move |b| b.conv2d(conv(2)).batch_norm())
                .branch(|b| b.tanh())
        })
        .affine(5)
        .layer_norm()
        .dropout(0.1)
        .affine(3)
        .build(1)
        .unwrap()
}

/// What one process gets.
#[derive(Debug, Clone, PartialEq)]
struct Part<T> {
    loss: f64,
    gradients: Vec<T>,
    running: Vec<T>,
}

/// The second of two steps, so that a second mask is drawn.
fn run<T: Scalar>(
    mut network: Network<T>,
    x: ArrayView2<'_, T>,
    t: &[usize],
    reduction: Reduction,
    pass: &Pass<'_>,
) -> Part<T> {
    let mut loss = SoftmaxWithLoss::new().with_reduction(reduction);
    let loss: &mut dyn Loss<T> = &mut loss;
    let mut value = 0.0;
    for _ in 0..2 {
        value = network.gradient_in(x, t.into(), loss, pass).unwrap();
        network.settle(Outcome::Stands);
    }
    let (mut gradients, mut running) = (Vec::new(), Vec::new());
    network.visit(&mut |p| match p.is_trained {
        true => gradients.extend(p.grad),
        false => running.extend(p.value),
    });
    Part {
        loss: value,
        gradients,
        running,
    }
}

fn batch<T: Scalar>() -> (Array2<T>, Vec<usize>) {
    let x = Array2::from_shape_fn((21, 32), |(n, d)| {
        T::from_f64(((n * 32 + d) as f64 * 1.7).sin())
    });
    (x, (0..21).map(|n| n % 3).collect())
}

/// Each process on its own thread; `rows` has the numbers of rows of its shards.
fn in_processes<T: Scalar>(
    reduction: Reduction,
    weight_decay: f64,
    rows: &[Vec<usize>],
) -> Vec<Part<T>> {
    let (network, (x, t)) = (network::<T>(weight_decay), batch());
    let all_reduce = AllReduce::new(rows);
    std::thread::scope(|scope| {
        let mut begin = 0;
        let threads: Vec<_> = rows
            .iter()
            .enumerate()
            .map(|(rank, rows)| {
                let cut = begin..begin + rows.iter().sum::<usize>();
                begin = cut.end;
                let (x, t) = (x.slice_axis(Axis(0), Slice::from(cut.clone())), &t[cut]);
                let (network, all_reduce) = (network.clone(), &all_reduce);
                scope.spawn(move || {
                    let rank = Rank { all_reduce, rank };
                    let pass = Pass::sharded(Mode::Train, &rank);
                    run(network, x, t, reduction, &pass)
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

fn added<T: Scalar>(mut a: Vec<T>, b: &[T]) -> Vec<T> {
    a.iter_mut().zip(b).for_each(|(a, &b)| *a += b);
    a
}

#[test]
fn the_gradients_of_shards_add_up_to_that_of_the_batch() {
    let (x, t) = batch::<f64>();
    for reduction in [Reduction::Mean, Reduction::Sum] {
        let pass = Pass::new(Mode::Train);
        let whole = run(network(0.01), x.view(), &t, reduction, &pass);
        // Uneven shards; shards without rows, and a process without any; a process without shards.
        for rows in [
            vec![vec![5, 1, 6, 9]],
            vec![vec![9], vec![1], vec![11]],
            vec![vec![4, 0], vec![0], vec![17], vec![]],
        ] {
            let parts = in_processes::<f64>(reduction, 0.01, &rows);
            let zero = vec![0.0; whole.gradients.len()];
            let sum = parts
                .iter()
                .fold(zero, |sum, part| added(sum, &part.gradients));
            assert_close("gradients", &sum, &whole.gradients, 1e-11);
            for part in &parts {
                assert_close("loss", &[part.loss], &[whole.loss], 1e-12);
                assert_close("running statistics", &part.running, &whole.running, 1e-12);
            }
        }
    }
}

/// With 8 shards, two and four processes add what the tree adds last. (Weight decay is added before that, by one
/// of them.)
fn check_bits<T: Scalar>() {
    let shards = [3, 2, 3, 3, 2, 3, 2, 3];
    let cut = |each: usize| {
        shards
            .chunks(each)
            .map(<[usize]>::to_vec)
            .collect::<Vec<_>>()
    };
    let one = &in_processes::<T>(Reduction::Mean, 0.0, &cut(8))[0];
    let [a, b] = &in_processes::<T>(Reduction::Mean, 0.0, &cut(4))[..] else {
        panic!("there are two processes");
    };
    let [c, d, e, f] = &in_processes::<T>(Reduction::Mean, 0.0, &cut(2))[..] else {
        panic!("there are four processes");
    };
    let two = added(a.gradients.clone(), &b.gradients);
    let (left, right) = (
        added(c.gradients.clone(), &d.gradients),
        added(e.gradients.clone(), &f.gradients),
    );
    for sum in [two, added(left, &right)] {
        assert!(sum == one.gradients, "the bits of gradients differ");
    }
    let three = in_processes::<T>(
        Reduction::Mean,
        0.0,
        &[
            shards[..3].to_vec(),
            shards[3..4].to_vec(),
            shards[4..].to_vec(),
        ],
    );
    for part in [a, b, c, d, e, f].into_iter().chain(&three) {
        assert!(part.loss == one.loss && part.running == one.running);
    }
}

#[test]
fn the_bits_do_not_depend_on_which_process_has_which_shards() {
    check_bits::<f32>();
    check_bits::<f64>();
}
