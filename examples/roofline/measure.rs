//! What is measured, on one pool: in three groups, the members of each in turns with the limits
//! that they are held against.

use crate::copy::Copy;
use crate::workload::BatchNorm;
use crate::workload::network::NETWORKS;
use crate::workload::product::{Form, Operands, Product, StepProducts};
use crate::workload::timing::{Sample, in_turns, least, median, sample};
use batchnorm::Pool;
use indicatif::ProgressBar;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How much is measured.
pub(crate) struct Plan {
    networks: usize,
    squares: &'static [usize],
    batch_norms: &'static [(usize, usize)],
    /// Elements of the array whose copy is the bandwidth of memory.
    far_beyond_cache: usize,
    at_least: Duration,
    rounds: usize,
}

impl Plan {
    pub(crate) fn full() -> Self {
        Self {
            networks: NETWORKS.len(),
            squares: &[96, 192, 512, 1024, 2048],
            batch_norms: &[(8192, 4096), (1024, 1024)],
            far_beyond_cache: 1 << 26,
            at_least: Duration::from_millis(15),
            rounds: 7,
        }
    }

    pub(crate) fn quick() -> Self {
        Self {
            networks: 1,
            squares: &[128],
            batch_norms: &[(256, 512), (128, 128)],
            far_beyond_cache: 1 << 20,
            at_least: Duration::from_millis(1),
            rounds: 2,
        }
    }

    /// Rounds of the progress bar, on one pool.
    pub(crate) fn steps(&self) -> usize {
        self.rounds * (2 + self.networks)
    }
}

/// A kernel beside its limit.
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

    /// Arithmetic intensity, FLOP per byte.
    pub(crate) fn intensity(&self) -> f64 {
        self.flops / self.bytes
    }
}

/// A product of a network's step.
pub(crate) struct NetworkProduct {
    pub(crate) network: &'static str,
    /// As in `784→100`.
    pub(crate) layer: String,
    pub(crate) kernel: Kernel,
}

/// A training step beside its products alone.
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

/// Everything, on one pool.
pub(crate) struct Measured {
    pub(crate) threads: usize,
    /// FLOP a second of the best square product.
    pub(crate) peak: f64,
    /// Bytes a second of a copy far beyond the cache.
    pub(crate) memory: f64,
    /// Bytes a second of the copies of the arrays of `batch_norms`, by their names.
    pub(crate) copies: Vec<(String, f64)>,
    pub(crate) products: Vec<NetworkProduct>,
    pub(crate) batch_norms: Vec<Kernel>,
    pub(crate) steps: Vec<Step>,
}

pub(crate) fn all(pool: &Pool, plan: &Plan, bar: &ProgressBar) -> Measured {
    let threads = pool.install(batchnorm::tensor::threads);
    let (peak, products) = products(pool, plan, bar);
    let (memory, copies, batch_norms) = batch_norms(pool, threads, plan, bar);
    let networks = &NETWORKS[..plan.networks];
    let steps = networks.iter().map(|case| {
        let mut training = case.training();
        let mut alone = StepProducts::new(case);
        let flops = alone.flops() as f64;
        let mut samples = [
            sample(pool, plan.at_least, || training.step()),
            sample(pool, plan.at_least, || alone.multiply()),
        ];
        let seconds = rounds(&mut samples, plan, bar);
        Step {
            name: case.title(),
            seconds: median(&seconds[0]),
            products: median(&seconds[1]),
            flops,
        }
    });
    Measured {
        threads,
        peak,
        memory,
        copies,
        products,
        batch_norms,
        steps: steps.collect(),
    }
}

fn rounds(samples: &mut [Sample<'_>], plan: &Plan, bar: &ProgressBar) -> Vec<Vec<f64>> {
    in_turns(samples, plan.rounds, || bar.inc(1))
}

/// The best of the square products, and those of the networks.
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

    let measured = all.into_iter().zip(&seconds);
    let rate = |((_, p), seconds): ((_, Product), &Vec<f64>)| p.flops() as f64 / least(seconds);
    let (squares, rest) = (plan.squares.len(), measured.clone());
    let peak = measured.take(squares).map(rate).fold(0.0, f64::max);
    let kernels = rest.skip(squares).map(|((network, p), seconds)| {
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
            kernel,
        }
    });
    (peak, kernels.collect())
}

/// The bandwidth of memory, that of copies of the size of each BatchNormalization's array, and
/// BatchNormalization.
fn batch_norms(
    pool: &Pool,
    threads: usize,
    plan: &Plan,
    bar: &ProgressBar,
) -> (f64, Vec<(String, f64)>, Vec<Kernel>) {
    // Operations of an element. Forward: a sum; a difference, its sum, its square and that one's
    // sum; and the difference, scale and shift of y. Backward: a difference, a product and two
    // sums; and the two products and three sums of dx.
    const FORWARD: f64 = 8.0;
    const BACKWARD: f64 = 9.0;
    let sizes = plan.batch_norms.iter().map(|(n, d)| n * d);
    let sizes = [plan.far_beyond_cache].into_iter().chain(sizes);
    let mut copies: Vec<Copy> = sizes.map(|size| Copy::new(size, threads)).collect();
    let copied: Vec<f64> = copies.iter().map(|copy| copy.bytes() as f64).collect();
    // Forward and backward take turns on the same arrays.
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
