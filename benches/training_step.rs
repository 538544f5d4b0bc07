//! Whole training steps of the networks that the README measures, and inference of the first:
//! forward, loss, backward and SGD, Batch Normalization in every hidden layer.

use bn::{Network, Pool, Sgd, SoftmaxWithLoss, net::Workspace, tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array2;

struct Case {
    name: &'static str,
    hidden: &'static [usize],
    batch: usize,
}

const CASES: [Case; 3] = [
    Case {
        name: "book 784-5x100-10",
        hidden: &[100; 5],
        batch: 100,
    },
    Case {
        name: "mid 784-3x512-10",
        hidden: &[512; 3],
        batch: 256,
    },
    Case {
        name: "big 784-3x2048-10",
        hidden: &[2048; 3],
        batch: 1024,
    },
];

fn network(hidden: &[usize]) -> Network {
    let mut builder = Network::builder(784);
    for &size in hidden {
        builder = builder.affine(size).batch_norm().relu();
    }
    builder.affine(10).build(1).expect("the sizes fit")
}

fn images(n: usize) -> Array2<f32> {
    Array2::from_shape_fn((n, 784), |(i, j)| ((i * 784 + j) as f32 * 0.37).sin().abs())
}

fn training_step(c: &mut Criterion) {
    println!(
        "{}, {} threads",
        tensor::matmul_backend(),
        tensor::threads()
    );
    let mut group = c.benchmark_group("training step");
    group.sample_size(20);
    for case in &CASES {
        group.throughput(Throughput::Elements(case.batch as u64));
        group.bench_function(BenchmarkId::new(case.name, case.batch), |b| {
            let mut network = network(case.hidden);
            let (x, labels) = (images(case.batch), labels(case.batch));
            let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.01).expect("a rate"));
            let pool = Pool::new(tensor::threads()).expect("a pool");
            let mut step = || {
                let t = (&labels).into();
                network
                    .train_step(x.view(), t, &mut loss, &mut sgd)
                    .expect("a step")
            };
            pool.install(|| b.iter(&mut step));
        });
    }
    group.finish();
}

fn labels(n: usize) -> Vec<usize> {
    (0..n).map(|i| i * 7 % 10).collect()
}

fn inference(c: &mut Criterion) {
    let network = network(CASES[0].hidden);
    let mut group = c.benchmark_group("inference, book");
    for batch in [1, 100, 10_000] {
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(BenchmarkId::from_parameter(batch), |b| {
            let (x, mut workspace) = (images(batch), Workspace::default());
            let pool = Pool::new(tensor::threads()).expect("a pool");
            pool.install(|| {
                b.iter(|| {
                    network
                        .predict_with(x.view(), &mut workspace)
                        .expect("a batch")[[0, 0]]
                });
            });
        });
    }
    group.finish();
}

criterion_group!(benches, training_step, inference);
criterion_main!(benches);
