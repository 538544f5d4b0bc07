//! The measurements on one thread pool, in three groups. The members of a group take turns with
//! the limits that they are compared with.

use crate::copy::Copy;
use crate::workload::BatchNorm;
use crate::workload::network::NETWORKS;
use crate::workload::product::{Form, Operands, Product, StepProducts};
use crate::workload::timing::{Sample, in_turns, least, median, sample};
use anyhow::Result;
use batchnorm::Pool;
use bn_examples::style::count;
use indicatif::ProgressBar;
use std::io::{Write, stdout};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How much is measured.
pub(crate) struct Plan {
    networks: usize,
    squares: &'static [usize],
    batch_norms: &'static [(usize, usize)],
    /// Elements of an array that is much larger than the caches.
    beyond_cache: usize,
    at_least: Duration,
    rounds: usize,
}

impl Plan {
    pub(crate) fn full() -> Self {
        Self {
            networks: NETWORKS.len(),
            squares: &[96, 192, 512, 1024, 2048],
            batch_norms: &[(8192, 4096), (1024, 1024)],
            beyond_cache: 1 << 26,
            at_least: Duration::from_millis(15),
            rounds: 7,
        }
    }

    pub(crate) fn quick() -> Self {
        Self {
            networks: 1,
            squares: &[128],
            batch_norms: &[(256, 512), (128, 128)],
            beyond_cache: 1 << 20,
            at_least: Duration::from_millis(1),
            rounds: 2,
        }
    }

    /// The rounds of all measurements on one pool.
    pub(crate) fn rounds_per_pool(&self) -> usize {
        self.rounds * (2 + self.networks)
    }
}

/// A kernel, and the share of its limit that it reaches.
pub(crate) struct Kernel {
    pub(crate) name: String,
    pub(crate) seconds: f64,
    pub(crate) flops: f64,
    pub(crate) bytes: f64,
    pub(crate) share: f64,
}

impl Kernel {
    pub(crate) fn flops_per_second(&self) -> f64 {
        self.flops / self.seconds
    }

    pub(crate) fn bytes_per_second(&self) -> f64 {
        self.bytes / self.seconds
    }

    /// The arithmetic intensity in FLOP per byte.
    pub(crate) fn intensity(&self) -> f64 {
        self.flops / self.bytes
    }
}

/// A matrix product of a network's training step.
pub(crate) struct NetworkProduct {
    pub(crate) network: &'static str,
    /// The inputs and outputs of the layer, as in `784→100`.
    pub(crate) layer: String,
    pub(crate) form: Form,
    pub(crate) kernel: Kernel,
}

impl NetworkProduct {
    /// What the product computes: the output, or the gradient of the weights or the input.
    pub(crate) fn result(&self) -> &'static str {
        match self.form {
            Form::Nn => "y",
            Form::Tn => "dW",
            Form::Nt => "dx",
        }
    }

    /// As in `book 784→100 dW`.
    pub(crate) fn title(&self) -> String {
        format!("{} {} {}", self.network, self.layer, self.result())
    }
}

/// A training step, and the time of its matrix products.
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) seconds: f64,
    pub(crate) products: f64,
    pub(crate) flops: f64,
}

impl Step {
    pub(crate) fn share(&self) -> f64 {
        self.products / self.seconds
    }
}

/// All measurements on one pool.
pub(crate) struct Measured {
    pub(crate) threads: usize,
    /// FLOP per second of the fastest matrix product.
    pub(crate) peak: f64,
    /// Bytes per second of a copy much larger than the caches.
    pub(crate) memory: f64,
    /// The shapes of the arrays of `batch_norms`, and the bytes per second of copying them.
    pub(crate) copies: Vec<(String, f64)>,
    pub(crate) products: Vec<NetworkProduct>,
    pub(crate) batch_norms: Vec<Kernel>,
    pub(crate) steps: Vec<Step>,
}

/// Measures everything on `pool`, and prints a line after each group.
pub(crate) fn all(pool: &Pool, plan: &Plan, bar: &ProgressBar) -> Result<Measured> {
    let threads = pool.install(batchnorm::tensor::threads);
    let start = Instant::now();
    let print = |group: &str| {
        let (on, seconds) = (
            count(threads as u64, "thread"),
            start.elapsed().as_secs_f64(),
        );
        bar.suspend(|| writeln!(stdout(), "{on}: measured {group}, {seconds:.0} s"))
    };
    let (peak, products) = products(pool, plan, bar);
    print("matrix products")?;
    let (memory, copies, batch_norms) = batch_norms(pool, threads, plan, bar);
    print("Batch Normalization")?;
    let networks = &NETWORKS[..plan.networks];
    let steps = networks.iter().map(|case| {
        let mut training = case.training();
        let mut products = StepProducts::new(case);
        let flops = products.flops() as f64;
        let mut samples = [
            sample(pool, plan.at_least, || training.step()),
            sample(pool, plan.at_least, || products.multiply()),
        ];
        let seconds = rounds(&mut samples, plan, bar);
        Step {
            name: case.title(),
            seconds: median(&seconds[0]),
            products: median(&seconds[1]),
            flops,
        }
    });
    let steps = steps.collect();
    print("training steps")?;
    Ok(Measured {
        threads,
        peak,
        memory,
        copies,
        products,
        batch_norms,
        steps,
    })
}

fn rounds(samples: &mut [Sample<'_>], plan: &Plan, bar: &ProgressBar) -> Vec<Vec<f64>> {
    in_turns(samples, plan.rounds, || bar.inc(1))
}

/// The rate of the fastest matrix product, and the products of the networks.
fn products(pool: &Pool, plan: &Plan, bar: &ProgressBar) -> (f64, Vec<NetworkProduct>) {
    let square = |&n: &usize| {
        let form = Form::Nn;
        let (m, k) = (n, n);
        ("", Product { form, m, k, n })
    };
    let of_networks = NETWORKS[..plan.networks]
        .iter()
        .flat_map(|case| case.products().into_iter().map(|p| (case.name, p)));
    let all: Vec<(&'static str, Product)> =
        plan.squares.iter().map(square).chain(of_networks).collect();
    let mut operands: Vec<Operands> = all.iter().map(|(_, p)| Operands::new(p)).collect();
    let mut samples: Vec<_> = operands
        .iter_mut()
        .map(|operands| sample(pool, plan.at_least, || operands.multiply()))
        .collect();
    let seconds = rounds(&mut samples, plan, bar);

    // Of all products: a small one that stays in cache can be faster than every square one.
    let rates = all.iter().zip(&seconds);
    let rates = rates.map(|((_, p), seconds)| p.flops() as f64 / least(seconds));
    let peak = rates.fold(0.0, f64::max);
    let of_networks = all.into_iter().zip(&seconds).skip(plan.squares.len());
    let kernels = of_networks.map(|((network, p), seconds)| {
        let (seconds, flops) = (median(seconds), p.flops() as f64);
        let kernel = Kernel {
            name: p.title(),
            seconds,
            flops,
            bytes: p.bytes() as f64,
            share: flops / seconds / peak,
        };
        NetworkProduct {
            network,
            layer: p.layer(),
            form: p.form,
            kernel,
        }
    });
    (peak, kernels.collect())
}

/// The memory bandwidth, the bandwidth of a copy of each BatchNormalization's array, and the
/// BatchNormalizations.
fn batch_norms(
    pool: &Pool,
    threads: usize,
    plan: &Plan,
    bar: &ProgressBar,
) -> (f64, Vec<(String, f64)>, Vec<Kernel>) {
    // Operations per element. Forward: a sum; a difference, its sum, its square, and the sum of
    // squares; the difference, scale and shift of y. Backward: a difference, a product and two
    // sums; the two products and three sums of dx.
    const FORWARD: f64 = 8.0;
    const BACKWARD: f64 = 9.0;
    let sizes = plan.batch_norms.iter().map(|(n, d)| n * d);
    let sizes = [plan.beyond_cache].into_iter().chain(sizes);
    let mut copies: Vec<Copy> = sizes.map(|size| Copy::new(size, threads)).collect();
    let copied: Vec<f64> = copies.iter().map(|copy| copy.bytes() as f64).collect();
    // Forward and backward share arrays and take turns.
    let layers: Vec<Mutex<BatchNorm>> = plan
        .batch_norms
        .iter()
        .map(|&(n, d)| Mutex::new(BatchNorm::new(n, d)))
        .collect();

    let mut samples: Vec<Sample<'_>> = copies
        .iter_mut()
        .map(|copy| Box::new(|| copy.seconds()) as Sample<'_>)
        .collect();
    for layer in &layers {
        let layer = || layer.lock().unwrap_or_else(PoisonError::into_inner);
        let forward = move || layer().forward();
        samples.push(sample(pool, plan.at_least, forward));
        let backward = move || layer().backward();
        samples.push(sample(pool, plan.at_least, backward));
    }
    let seconds = rounds(&mut samples, plan, bar);

    let (copying, computing) = seconds.split_at(copied.len());
    let rates = copied.iter().zip(copying);
    let rates: Vec<f64> = rates
        .map(|(bytes, seconds)| bytes / least(seconds))
        .collect();
    let (mut copies, mut kernels) = (Vec::new(), Vec::new());
    for (i, (n, d)) in plan.batch_norms.iter().enumerate() {
        let forward_bytes = BatchNorm::forward_bytes(*n, *d);
        let backward_bytes = BatchNorm::backward_bytes(*n, *d);
        let size = format!("{n}×{d}");
        for (pass, name, bytes, operations) in [
            (0, "forward", forward_bytes, FORWARD),
            (1, "backward", backward_bytes, BACKWARD),
        ] {
            let (seconds, bytes) = (median(&computing[2 * i + pass]), bytes as f64);
            kernels.push(Kernel {
                name: format!("BN {name} {size}"),
                seconds,
                flops: operations * (n * d) as f64,
                bytes,
                share: bytes / seconds / rates[i + 1],
            });
        }
        copies.push((size, rates[i + 1]));
    }
    (rates[0], copies, kernels)
}
