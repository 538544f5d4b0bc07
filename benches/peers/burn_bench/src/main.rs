//! burn, with its flex backend, on the work of `../work.py`. Usage: `burn_bench THREADS CASE`,
//! with `RAYON_NUM_THREADS` set to the same number, since burn takes its threads from there.

use burn::module::Module;
use burn::nn::{
    BatchNorm, BatchNormConfig, Linear, LinearConfig, Relu, loss::CrossEntropyLossConfig,
};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Distribution, Int, Tensor};
use std::hint::black_box;
use std::time::Instant;

const BOOK: [usize; 7] = [784, 100, 100, 100, 100, 100, 10];
const MID: [usize; 5] = [784, 512, 512, 512, 10];
const BIG: [usize; 5] = [784, 2048, 2048, 2048, 10];

#[derive(Module, Debug)]
struct Block {
    affine: Linear,
    bn: BatchNorm,
    relu: Relu,
}

/// Linear, BatchNorm and ReLU for each hidden layer, then Linear.
#[derive(Module, Debug)]
struct Net {
    hidden: Vec<Block>,
    last: Linear,
}

impl Net {
    fn new(sizes: &[usize], device: &Device) -> Self {
        let n = sizes.len();
        let block = |i: usize| Block {
            affine: LinearConfig::new(sizes[i], sizes[i + 1]).init(device),
            bn: BatchNormConfig::new(sizes[i + 1])
                .with_epsilon(1e-6)
                .init(device),
            relu: Relu::new(),
        };
        Self {
            hidden: (0..n - 2).map(block).collect(),
            last: LinearConfig::new(sizes[n - 2], sizes[n - 1]).init(device),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let mut h = x;
        for block in &self.hidden {
            h = block.affine.forward(h);
            h = block.relu.forward(block.bn.forward(h));
        }
        self.last.forward(h)
    }
}

/// Prints the median of seven times, each the mean of `repetitions` calls.
fn report(case: &str, warm_up: usize, repetitions: usize, mut f: impl FnMut()) {
    for _ in 0..warm_up {
        f();
    }
    let mut times = Vec::new();
    for _ in 0..7 {
        let start = Instant::now();
        for _ in 0..repetitions {
            f();
        }
        times.push(start.elapsed().as_secs_f64() / repetitions as f64 * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!(r#"{{"case": "{case}", "ms": {}}}"#, times[3]);
}

fn step(case: &str, sizes: &[usize], batch: usize, repetitions: usize, warm_up: usize) {
    let device = Device::flex().autodiff();
    let mut net = Some(Net::new(sizes, &device));
    let mut sgd = SgdConfig::new().init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    let uniform = Distribution::Uniform(0., 1.);
    let x = Tensor::<2>::random([batch, sizes[0]], uniform, &device);
    let labels: Vec<i32> = (0..batch).map(|i| ((i * 7919 + 13) % 10) as i32).collect();
    let t = Tensor::<1, Int>::from_ints(labels.as_slice(), &device);
    report(case, warm_up, repetitions, || {
        let model = net.take().expect("each step puts the network back");
        let loss = cross_entropy.forward(model.forward(x.clone()), t.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        net = Some(sgd.step(0.01, model, gradients));
        black_box(loss.into_scalar::<f32>());
    });
}

fn batch_normalization<const D: usize>(shape: [usize; D], repetitions: usize) {
    let device = Device::flex().autodiff();
    let bn = BatchNormConfig::new(shape[1]).init(&device);
    let normal = Distribution::Normal(0., 1.);
    let x = Tensor::<D>::random(shape, normal, &device).require_grad();
    let dout = Tensor::<D>::random(shape, normal, &device);
    let sizes = shape.map(|size| size.to_string()).join("x");
    report(&format!("bn {sizes}"), 5, repetitions, || {
        // burn has no backward pass from a given gradient, so this uses that of sum(y * dout).
        let gradients = (bn.forward(x.clone()) * dout.clone()).sum().backward();
        assert!(x.grad(&gradients).is_some() && bn.gamma.val().grad(&gradients).is_some());
    });
}

fn inference() {
    let plain = Device::flex();
    let net = Net::new(&BOOK, &plain.clone().autodiff()).valid();
    for (batch, repetitions) in [(1, 2000), (100, 300), (10_000, 5)] {
        let x = Tensor::<2>::random([batch, 784], Distribution::Uniform(0., 1.), &plain);
        report(&format!("infer {batch}"), 10, repetitions, || {
            black_box(net.forward(x.clone()));
        });
    }
}

fn main() {
    let case = std::env::args().nth(2).unwrap_or_default();
    // burn does not report how many threads it uses; it reads their number from this variable.
    let threads = std::env::var("RAYON_NUM_THREADS").unwrap_or_else(|_| "null".into());
    println!(r#"{{"engine": "burn 0.22.1", "blas": "flex", "threads": {threads}}}"#);
    match case.as_str() {
        "book" => step("book", &BOOK, 100, 200, 10),
        "mid" => step("mid", &MID, 256, 40, 10),
        "big" => step("big", &BIG, 1024, 3, 3),
        "bn" => {
            batch_normalization([100, 100], 500);
            batch_normalization([1024, 1024], 30);
            batch_normalization([8192, 4096], 1);
            batch_normalization([64, 64, 28, 28], 10);
        }
        "infer" => inference(),
        _ => {
            eprintln!("usage: burn_bench THREADS book|mid|big|bn|infer");
            std::process::exit(2);
        }
    }
}
