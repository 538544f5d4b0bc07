//! The matrix products of the three networks' steps, and the passes over memory: moments, column
//! sums, Batch Normalization.

mod report;
#[path = "../workload/mod.rs"]
mod workload;

use batchnorm::Pool;
use batchnorm::tensor::{Moments, Scratch, channel_sum, threads};
use criterion::{BenchmarkId, Criterion, Throughput};
use ndarray::Axis;
use workload::network::NETWORKS;
use workload::product::Operands;
use workload::{BatchNorm, matrix};

/// Rows and channels: a hidden layer of mid, then arrays in and beyond a core's cache.
const SHAPES: [(usize, usize); 3] = [(256, 512), (1024, 1024), (8192, 1024)];

fn main() {
    report::run("kernels", "FLOP", |c| {
        let pool = Pool::new(threads()).expect("a pool");
        products(c, &pool);
        reductions(c, &pool);
        batch_norm(c, &pool);
    });
}

fn products(c: &mut Criterion, pool: &Pool) {
    for case in &NETWORKS {
        let mut group = c.benchmark_group(format!("matmul, {}", case.name));
        for product in case.products() {
            group.throughput(Throughput::Elements(product.flops() as u64));
            group.bench_function(product.title(), |b| {
                let mut operands = Operands::new(&product);
                pool.install(|| b.iter(|| operands.multiply()));
            });
        }
        group.finish();
    }
}

fn reductions(c: &mut Criterion, pool: &Pool) {
    for (rows, channels) in SHAPES {
        let x = matrix(rows, channels);
        let x = x.view().insert_axis(Axis(2));
        let shape = format!("{rows}×{channels}");
        let mut group = c.benchmark_group("reduction");
        group.throughput(Throughput::Bytes((4 * rows * channels) as u64));
        group.bench_function(BenchmarkId::new("Moments::measure", &shape), |b| {
            let mut moments = Moments::default();
            pool.install(|| b.iter(|| moments.measure(x).expect("in order")));
        });
        group.bench_function(BenchmarkId::new("channel_sum", &shape), |b| {
            let (mut sums, mut scratch) = (vec![0.0; channels], Scratch::default());
            pool.install(|| b.iter(|| channel_sum(x, &mut sums, &mut scratch).expect("in order")));
        });
        group.finish();
    }
}

fn batch_norm(c: &mut Criterion, pool: &Pool) {
    // The rates count the bytes that every implementation must read and write.
    let mut group = c.benchmark_group("BatchNormalization");
    for (rows, channels) in SHAPES {
        let (mut bn, shape) = (BatchNorm::new(rows, channels), format!("{rows}×{channels}"));
        group.throughput(Throughput::Bytes(
            BatchNorm::forward_bytes(rows, channels) as u64
        ));
        group.bench_function(BenchmarkId::new("forward", &shape), |b| {
            pool.install(|| b.iter(|| bn.forward()));
        });
        group.throughput(Throughput::Bytes(
            BatchNorm::backward_bytes(rows, channels) as u64
        ));
        group.bench_function(BenchmarkId::new("backward", &shape), |b| {
            pool.install(|| b.iter(|| bn.backward()));
        });
    }
    group.finish();
}
