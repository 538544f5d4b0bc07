//! Inference of the book's network: one image, a batch, and a whole test set.

mod report;
#[path = "../workload/mod.rs"]
mod workload;

use batchnorm::{Pool, net::Workspace, tensor::threads};
use criterion::{BenchmarkId, Throughput};
use workload::network::{NETWORKS, images};

fn main() {
    report::run("inference", "images", |c| {
        let pool = Pool::new(threads()).expect("a pool");
        let (plain, mut folded) = (NETWORKS[0].network(), NETWORKS[0].network());
        folded.fold(images(10).view()).expect("a sample");
        for (name, network) in [
            ("inference, book", &plain),
            ("inference, book, folded", &folded),
        ] {
            let mut group = c.benchmark_group(name);
            for batch in [1, 100, 10_000] {
                group.throughput(Throughput::Elements(batch as u64));
                group.bench_function(BenchmarkId::new("batch", batch), |b| {
                    let (x, mut workspace) = (images(batch), Workspace::default());
                    pool.install(|| {
                        b.iter(|| {
                            let y = network.predict_with(x.view(), &mut workspace);
                            y.expect("a batch")[[0, 0]]
                        });
                    });
                });
            }
            group.finish();
        }
    });
}
