//! Convolutions of the examples' networks, each with the matrix product that it amounts to.

mod report;
#[path = "../workload/mod.rs"]
mod workload;

use batchnorm::tensor::{
    Padding, Pool, Window, convolve, convolve_transposed, convolve_weights, matmul, matmul_nt,
    matmul_tn, threads,
};
use criterion::{Criterion, Throughput};
use workload::matrix;

/// `images` of `(side, side, channels)`, a kernel of 3×3, `same` padding.
struct Case {
    name: &'static str,
    images: usize,
    side: usize,
    channels: usize,
    stride: usize,
    out: usize,
}

const CASES: [Case; 3] = [
    Case {
        name: "discriminator, 28×28, 64 to 128, stride 2",
        images: 128,
        side: 28,
        channels: 64,
        stride: 2,
        out: 128,
    },
    // Its transpose is the generator's.
    Case {
        name: "generator, 14×14, 64 to 128, stride 2",
        images: 128,
        side: 14,
        channels: 64,
        stride: 2,
        out: 128,
    },
    Case {
        name: "cnn_mnist, 14×14, 32 to 64",
        images: 100,
        side: 14,
        channels: 32,
        stride: 1,
        out: 64,
    },
];

fn main() {
    report::run("convolution", "FLOP", |c| {
        let pool = Pool::new(threads()).expect("a pool");
        CASES.iter().for_each(|case| bench(c, &pool, case));
    });
}

fn bench(c: &mut Criterion, pool: &Pool, case: &Case) {
    let image = (case.side, case.side, case.channels);
    let stride = (case.stride, case.stride);
    let window = Window::new(image, (3, 3), stride, Padding::Same).expect("it fits");
    let places = window.output().0 * window.output().1;
    let (rows, patch) = (case.images * places, window.patch());
    let x = matrix(case.images, case.side * case.side * case.channels); // (n, H·W·C)
    let y = matrix(case.images, places * case.out); // (n, places·out)
    let w = matrix(patch, case.out); // (patch, out)
    let (patches, dout) = (matrix(rows, patch), matrix(rows, case.out)); // of the products
    let flops = Throughput::Elements((2 * rows * patch * case.out) as u64);
    let scratch = &mut Vec::new();

    let mut group = c.benchmark_group(format!("forward, {}", case.name));
    group.throughput(flops.clone());
    let mut out = y.clone();
    group.bench_function("convolve", |b| {
        pool.install(|| {
            b.iter(|| convolve(&window, x.view(), w.view(), None, out.view_mut(), scratch))
        });
    });
    let mut product = dout.clone();
    group.bench_function("its product", |b| {
        pool.install(|| b.iter(|| matmul(patches.view(), w.view(), 0.0, product.view_mut())));
    });
    group.finish();

    let mut group = c.benchmark_group(format!("weights, {}", case.name));
    group.throughput(flops.clone());
    let mut dw = w.clone();
    group.bench_function("convolve_weights", |b| {
        pool.install(|| {
            b.iter(|| convolve_weights(&window, x.view(), y.view(), 0.0, dw.view_mut(), scratch))
        });
    });
    group.bench_function("its product", |b| {
        pool.install(|| b.iter(|| matmul_tn(patches.view(), dout.view(), 0.0, dw.view_mut())));
    });
    group.finish();

    let mut group = c.benchmark_group(format!("images, {}", case.name));
    group.throughput(flops);
    let mut dx = x.clone();
    group.bench_function("convolve_transposed", |b| {
        pool.install(|| {
            b.iter(|| {
                convolve_transposed(&window, y.view(), w.view(), None, dx.view_mut(), scratch)
            })
        });
    });
    let mut dpatches = patches.clone();
    group.bench_function("its product", |b| {
        pool.install(|| b.iter(|| matmul_nt(dout.view(), w.view(), 0.0, dpatches.view_mut())));
    });
    group.finish();
}
