//! Whole training steps: forward, loss, backward and SGD, with Batch Normalization in every hidden
//! layer.

mod report;
#[path = "../workload/mod.rs"]
mod workload;

use batchnorm::{Pool, tensor::threads};
use criterion::{SamplingMode, Throughput};
use workload::network::NETWORKS;

fn main() {
    report::run("training_step", "images", |c| {
        let pool = Pool::new(threads()).expect("a pool");
        let mut group = c.benchmark_group("step");
        group.sampling_mode(SamplingMode::Flat);
        for case in &NETWORKS {
            group.throughput(Throughput::Elements(case.batch as u64));
            group.bench_function(case.title(), |b| {
                let mut training = case.training();
                pool.install(|| b.iter(|| training.step()));
            });
        }
        group.finish();
    });
}
