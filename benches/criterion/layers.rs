//! Layers at the sizes of the three networks' hidden layers, forward and backward: Affine,
//! BatchNormalization with ReLU, Dropout.

mod report;
#[path = "../workload/mod.rs"]
mod workload;

use batchnorm::tensor::threads;
use batchnorm::{
    Affine, BatchNormConfig, BatchNormalization, Dropout, Io, Layer, Mode, Outcome, Pass, Pool,
    Relu, Wanted,
};
use criterion::{Criterion, Throughput};
use ndarray::{Array1, Array2};
use workload::matrix;
use workload::network::{Case, NETWORKS};

fn main() {
    report::run("layers", "FLOP", |c| {
        let pool = Pool::new(threads()).expect("a pool");
        for case in &NETWORKS {
            let (rows, width) = (case.batch, case.hidden[0]);
            let bytes = |passes: usize| Throughput::Bytes((4 * passes * rows * width) as u64);
            let product = 2 * rows * width * width;
            let flops = |products: usize| Throughput::Elements((products * product) as u64);

            let w = matrix(width, width) / 10.0;
            let affine = Affine::new(w, Array1::zeros(width)).expect("the sizes fit");
            let affine: [Box<dyn Layer<f32>>; 1] = [Box::new(affine)];
            bench(c, &pool, "Affine", case, affine, [flops(1), flops(2)]);

            let bn = BatchNormalization::new(width, BatchNormConfig::book());
            let bn_relu: [Box<dyn Layer<f32>>; 2] =
                [Box::new(bn.expect("the book's settings")), Box::new(Relu)];
            // Arrays read and written: 3 and 2 forward, 5 and 3 backward.
            let name = "BatchNormalization, Relu";
            bench(c, &pool, name, case, bn_relu, [bytes(5), bytes(8)]);

            let dropout = Dropout::new(0.2, 1).expect("a ratio");
            let dropout: [Box<dyn Layer<f32>>; 1] = [Box::new(dropout)];
            bench(c, &pool, "Dropout", case, dropout, [bytes(2), bytes(2)]);
        }
    });
}

/// Measures the forward and the backward pass through the layers, which all keep the width.
fn bench<const L: usize>(
    c: &mut Criterion,
    pool: &Pool,
    name: &str,
    case: &Case,
    mut layers: [Box<dyn Layer<f32>>; L],
    [forward, backward]: [Throughput; 2],
) {
    let (rows, width) = (case.batch, case.hidden[0]);
    let mut group = c.benchmark_group(format!("{name}, {} {rows}×{width}", case.name));
    let mut outputs = vec![matrix(rows, width); L + 1]; // (N, D) each, the input first
    let mut gradients = outputs.clone(); // (N, D), of each output
    group.throughput(forward);
    group.bench_function("forward", |b| {
        pool.install(|| b.iter(|| pass(&mut layers, &mut outputs)));
    });
    pass(&mut layers, &mut outputs);
    group.throughput(backward);
    group.bench_function("backward", |b| {
        pool.install(|| b.iter(|| pass_back(&mut layers, &outputs, &mut gradients)));
    });
    group.finish();
}

fn pass(layers: &mut [Box<dyn Layer<f32>>], outputs: &mut [Array2<f32>]) {
    for (i, layer) in layers.iter_mut().enumerate() {
        let (before, after) = outputs.split_at_mut(i + 1);
        let (x, y) = (before[i].view(), after[0].view_mut());
        layer
            .forward_into(x, y, &Pass::new(Mode::Train))
            .expect("the shapes fit");
        layer.settle(Outcome::Stands);
    }
}

fn pass_back(
    layers: &mut [Box<dyn Layer<f32>>],
    outputs: &[Array2<f32>],
    gradients: &mut [Array2<f32>],
) {
    for (i, layer) in layers.iter_mut().enumerate().rev() {
        let (before, after) = gradients.split_at_mut(i + 1);
        let io = Io {
            x: outputs[i].view(),
            y: outputs[i + 1].view(),
            dout: after[0].view(),
        };
        let wanted = Wanted {
            dx: Some(before[i].view_mut()),
            params: true,
        };
        layer
            .backward_into(io, wanted, &Pass::new(Mode::Train))
            .expect("the shapes fit");
    }
}
