//! After the first, a training step and an evaluation allocate nothing, on any number of threads.
//!
//! Allocations are counted over the whole process, so this program has only one test.

use bn_layers::{Affine, Conv2dConfig, Interpolation};
use bn_net::{
    Accumulator, Adam, BinaryCrossEntropy, Gan, Huber, Loss, Network, NetworkBuilder, Optimizer,
    Reduction, Sgd, SoftmaxWithLoss, Targets, Workspace,
};
use bn_tensor::Pool;
use ndarray::{Array2, Axis, Slice};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The allocations of `f`. They are counted again unless there are none, because the test harness allocates
/// when it reports that a test has been running for a minute.
fn allocations_of(mut f: impl FnMut()) -> usize {
    let mut count = || {
        let region = Region::new(GLOBAL);
        f();
        let change = region.change();
        change.allocations + change.reallocations
    };
    match count() {
        0 => 0,
        _ => count(),
    }
}

#[test]
fn a_warm_step_and_a_warm_evaluation_allocate_nothing() {
    for threads in [1, 2, 4] {
        for (images, adam) in [(false, false), (false, true), (true, false)] {
            let pool = Pool::new(threads).unwrap();
            let counts = pool.install(|| count(images, adam));
            assert_eq!(
                counts,
                [0, 0],
                "{threads} threads, images: {images}, Adam: {adam}"
            );
        }
    }
    assert_eq!(count_losses(), 0, "losses");
    for threads in [1, 2, 4] {
        let pool = Pool::new(threads).unwrap();
        assert_eq!(pool.install(count_gan), 0, "{threads} threads, Gan");
    }
    for threads in [1, 2, 4] {
        let pool = Pool::new(threads).unwrap();
        assert_eq!(pool.install(count_blocks), 0, "{threads} threads, blocks");
        let count = pool.install(count_blocks_evaluated);
        assert_eq!(count, 0, "{threads} threads, evaluation of blocks");
    }
    for threads in [1, 2, 4] {
        let pool = Pool::new(threads).unwrap();
        let count = pool.install(count_micro_batches);
        assert_eq!(count, 0, "{threads} threads, micro-batches");
    }
    for threads in [1, 2, 4] {
        let pool = Pool::new(threads).unwrap();
        let counts = pool.install(count_groups);
        assert_eq!(counts, [0, 0], "{threads} threads, groups");
    }
    for threads in [1, 2, 4] {
        let pool = Pool::new(threads).unwrap();
        let bytes = pool.install(bytes_of_shards);
        assert!(bytes < 10_000, "{threads} threads, shards: {bytes} bytes");
    }
    let [one, many] = [1, 40].map(count_norms);
    assert_eq!(one, many, "normalised rows");
    // Check that the counter works.
    assert!(allocations_of(|| drop(std::hint::black_box(vec![1u8; 100]))) > 0);
}

/// Allocations of 30 steps, and of 30 evaluations.
fn count(images: bool, adam: bool) -> [usize; 2] {
    // Wide enough that products, reductions and element-wise loops are shared between threads.
    let builder = if images {
        Network::builder((28, 28, 1))
            .conv2d(Conv2dConfig::new(8, 3).same().without_bias())
            .batch_norm()
            .relu()
            .max_pool2d(2)
            .conv2d(Conv2dConfig::new(12, 3).stride(2).same())
            .leaky_relu(0.2)
            .conv_transpose2d(Conv2dConfig::new(6, 3).stride(2).same())
            .avg_pool2d(2)
            .upsample2d(2)
            .global_avg_pool2d()
    } else {
        Network::builder(784)
            .affine(300)
            .batch_norm()
            .relu()
            .dropout(0.5)
            .affine_without_bias(100)
            .batch_norm()
            .sigmoid()
    };
    let mut network = builder.affine(10).build(1).unwrap();
    let x = Array2::from_shape_fn((256, 784), |(n, d)| ((n * 784 + d) as f32).sin());
    let labels: Vec<usize> = (0..256).map(|n| n % 10).collect();
    let mut loss = SoftmaxWithLoss::new();
    let mut optimizer: Box<dyn Optimizer<f32>> = if adam {
        Box::new(Adam::pytorch(0.001).unwrap())
    } else {
        Box::new(Sgd::new(0.01).unwrap())
    };
    let mut workspace = Workspace::default();
    // Every other batch is smaller, as at the end of an epoch.
    let smaller = x.view().split_at(Axis(0), 199).0;
    let mut step = |i: usize| {
        let x = if i.is_multiple_of(2) {
            x.view()
        } else {
            smaller
        };
        let t = labels[..x.nrows()].into();
        let loss = network.train_step(x, t, &mut loss, &mut *optimizer);
        assert!(loss.unwrap().is_finite());
    };
    (0..6).for_each(&mut step);
    let steps = allocations_of(|| (0..30).for_each(&mut step));

    let mut evaluate = || {
        let accuracy = network.accuracy_with(x.view(), &labels, &mut workspace);
        assert!(accuracy.unwrap() >= 0.0);
        assert_eq!(
            network
                .predict_with(x.view(), &mut workspace)
                .unwrap()
                .nrows(),
            256
        );
    };
    (0..5).for_each(|_| evaluate());
    [steps, allocations_of(|| (0..30).for_each(|_| evaluate()))]
}

/// Allocations of ten steps of a network of residual blocks, a concatenation and normalised rows.
fn count_blocks() -> usize {
    let three = || Conv2dConfig::new(8, 3).same();
    let builder = Network::builder((14, 14, 1))
        .conv2d(three())
        .group_norm(2)
        .gelu();
    let builder = builder
        .residual(move |b| b.conv2d(three()).batch_norm().prelu())
        .relu()
        .residual_with(
            move |b| b.conv2d(three()).instance_norm(),
            move |s| s.conv2d(three()),
        )
        .concat(|all| {
            all.branch(|b| b.softmax())
                .branch(|b| b.max_pool2d(1).silu())
        });
    let mut network = builder.affine(32).layer_norm().affine(10).build(1).unwrap();
    let x = Array2::from_shape_fn((64, 196), |(n, d)| ((n * 196 + d) as f32).sin());
    let labels: Vec<usize> = (0..64).map(|n| n % 10).collect();
    let (mut loss, mut adam) = (SoftmaxWithLoss::new(), Adam::pytorch(0.001).unwrap());
    let mut step = || {
        let t = (&labels).into();
        network
            .train_step(x.view(), t, &mut loss, &mut adam)
            .unwrap();
    };
    (0..3).for_each(|_| step());
    allocations_of(|| (0..10).for_each(|_| step()))
}

/// Allocations of ten steps, each of three micro-batches of different sizes.
fn count_micro_batches() -> usize {
    let builder = Network::builder(196).weight_decay(0.01);
    let builder = builder.affine(100).batch_norm().relu().dropout(0.2);
    let mut network = builder.affine(10).build(1).unwrap();
    let x = Array2::from_shape_fn((128, 196), |(n, d)| ((n * 196 + d) as f32).sin());
    let labels: Vec<usize> = (0..128).map(|n| n % 10).collect();
    let mut loss = SoftmaxWithLoss::new().with_reduction(Reduction::Sum);
    let (mut adam, mut accumulator) = (Adam::pytorch(0.001).unwrap(), Accumulator::default());
    let mut step = || {
        for rows in [0..64, 64..100, 100..128] {
            let t = labels[rows.clone()].into();
            let x = x.slice_axis(Axis(0), Slice::from(rows));
            accumulator.add(&mut network, x, t, &mut loss).unwrap();
        }
        let value = accumulator.step(&mut network, &mut adam, |_| Ok(()));
        assert!(value.unwrap().is_finite());
    };
    (0..3).for_each(|_| step());
    allocations_of(|| (0..10).for_each(|_| step()))
}

/// Bytes that a gradient of 3 MB is added up with, over the shards of a batch.
fn bytes_of_shards() -> usize {
    let w = Array2::<f32>::ones((1000, 800));
    let mut affine = Affine::without_bias(w).unwrap();
    let (x, dout) = (Array2::ones((8, 1000)), Array2::ones((8, 800)));
    let mut gradient = vec![0.0; 800_000];
    let mut add_up = || {
        let region = Region::new(GLOBAL);
        let shards = [0..2, 2..4, 4..6, 6..8];
        let result = affine.gradient_of_shards(x.view(), dout.view(), &shards, &mut gradient);
        result.unwrap();
        region.change().bytes_allocated
    };
    // Each thread keeps memory of its own, as soon as it has taken part.
    (0..6).map(|_| add_up()).min().unwrap_or_default()
}

/// Allocations of an evaluation of this many images by layers that normalise each by itself: those of the
/// statistics of one image.
fn count_norms(images: usize) -> usize {
    let builder = Network::builder((6, 6, 8)).group_norm(2).instance_norm();
    let network = builder.flatten().layer_norm().build(1).unwrap();
    let x = Array2::from_shape_fn((images, 288), |(n, d)| ((n * 288 + d) as f32).sin());
    let mut workspace = Workspace::default();
    let mut evaluate = || {
        network.predict_with(x.view(), &mut workspace).unwrap();
    };
    evaluate();
    allocations_of(evaluate)
}

/// Allocations of five evaluations of a network of blocks, some inside others, and of networks as layers.
fn count_blocks_evaluated() -> usize {
    let three = || Conv2dConfig::new(8, 3).same();
    let network = |b: NetworkBuilder| b.conv2d(three()).batch_norm().relu().build(2).unwrap();
    let inside = network(Network::builder((14, 14, 8)));
    let network = Network::builder((14, 14, 1))
        .conv2d(three())
        .residual(move |b| {
            b.conv2d(three())
                .batch_norm()
                .relu()
                .residual(move |b| b.conv2d(three()).batch_norm())
                .relu()
                .concat(move |all| {
                    all.branch(|b| b.conv2d(Conv2dConfig::new(3, 1)))
                        .branch(|b| b.conv2d(Conv2dConfig::new(5, 3).same()).prelu())
                })
        })
        .layer("inside", inside)
        .residual_with(
            |b| b.conv2d(Conv2dConfig::new(16, 3).stride(2).same()),
            |s| s.avg_pool2d(2).conv2d(Conv2dConfig::new(16, 1)),
        )
        .relu()
        .affine(10);
    let network = network.build(1).unwrap();
    let x = Array2::from_shape_fn((120, 196), |(n, d)| ((n * 196 + d) as f32).sin());
    let few = x.view().split_at(Axis(0), 20).0;
    let mut workspace = Workspace::default();
    let mut evaluate = || {
        for x in [x.view(), few] {
            let y = network.predict_with(x, &mut workspace).unwrap();
            assert_eq!(y.nrows(), x.nrows());
        }
    };
    (0..3).for_each(|_| evaluate());
    allocations_of(|| (0..5).for_each(|_| evaluate()))
}

/// Allocations of ten steps and of ten evaluations of a network with grouped and dilated convolutions,
/// resizing and padding.
fn count_groups() -> [usize; 2] {
    let mut network = Network::builder((14, 14, 8))
        .conv2d(Conv2dConfig::depthwise(8, 2, 3).same())
        .relu()
        .conv2d(Conv2dConfig::new(16, 3).groups(4).dilation(2))
        .batch_norm()
        .zero_pad2d((1, 0), (1, 0))
        .reflect_pad2d((0, 1), (0, 1))
        .resize2d((9, 10), Interpolation::Bilinear)
        .conv_transpose2d(Conv2dConfig::new(8, 3).stride(2).same().groups(2))
        .affine(10)
        .build(1)
        .unwrap();
    let x = Array2::from_shape_fn((64, 14 * 14 * 8), |(n, d)| ((n * 1568 + d) as f32).sin());
    let labels: Vec<usize> = (0..64).map(|n| n % 10).collect();
    let (mut loss, mut adam) = (SoftmaxWithLoss::new(), Adam::pytorch(0.001).unwrap());
    let mut step = || {
        let t = (&labels).into();
        network
            .train_step(x.view(), t, &mut loss, &mut adam)
            .unwrap();
    };
    (0..3).for_each(|_| step());
    let steps = allocations_of(|| (0..10).for_each(|_| step()));
    let mut workspace = Workspace::default();
    let mut evaluate = || {
        network.predict_with(x.view(), &mut workspace).unwrap();
    };
    (0..3).for_each(|_| evaluate());
    [steps, allocations_of(|| (0..10).for_each(|_| evaluate()))]
}

/// Allocations of ten forward and backward passes of the losses in every setting.
fn count_losses() -> usize {
    let x = Array2::from_shape_fn((64, 3), |(n, d)| ((n * 3 + d) as f32).sin());
    let t = x.mapv(|x| x.abs());
    let labels: Vec<usize> = (0..64).map(|n| n % 4).collect();
    let mut plain = SoftmaxWithLoss::new().with_ignored_label(3);
    let weighted = plain.clone().with_class_weights(vec![1.0, 2.0, 0.5]);
    let mut weighted = weighted.unwrap();
    let binary = BinaryCrossEntropy::on_logits().with_positive_weights(vec![1.0, 2.0, 0.5]);
    let (mut binary, mut huber) = (binary.unwrap(), Huber::default());
    let mut dx = Array2::zeros(x.dim());
    let mut pass = || {
        let (labels, t) = (Targets::Labels(&labels), Targets::Dense(t.view()));
        let losses: [(&mut dyn Loss<f32>, _); 4] = [
            (&mut plain, labels),
            (&mut weighted, labels),
            (&mut binary, t),
            (&mut huber, t),
        ];
        for (loss, t) in losses {
            loss.forward(x.view(), t).unwrap();
            loss.backward_into(x.view(), t, dx.view_mut()).unwrap();
            std::hint::black_box(loss.weight(64, 3, t));
        }
    };
    pass();
    allocations_of(|| (0..10).for_each(|_| pass()))
}

/// Allocations of ten iterations of a GAN whose discriminator has Dropout.
fn count_gan() -> usize {
    let up = |filters| Conv2dConfig::new(filters, 3).stride(2).same();
    let generator = Network::builder(20)
        .affine(7 * 7 * 16)
        .reshape((7, 7, 16))
        .batch_norm()
        .relu()
        .conv_transpose2d(up(8))
        .batch_norm()
        .relu()
        .conv_transpose2d(up(1))
        .tanh()
        .build(1);
    let discriminator = Network::builder((28, 28, 1))
        .conv2d(up(16))
        .leaky_relu(0.2)
        .dropout(0.25)
        .conv2d(up(64)) // enough channels for patches that are packed without being stored
        .leaky_relu(0.2)
        .affine(1)
        .build(2);
    let mut gan = Gan::new(generator.unwrap(), discriminator.unwrap(), 3).unwrap();
    let x = Array2::from_shape_fn((64, 784), |(n, d)| ((n * 784 + d) as f32).sin());
    let mut iteration = || {
        gan.discriminator_step(x.view()).unwrap();
        gan.generator_step(64).unwrap();
    };
    (0..3).for_each(|_| iteration());
    allocations_of(|| (0..10).for_each(|_| iteration()))
}
