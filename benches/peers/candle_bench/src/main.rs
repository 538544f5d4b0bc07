//! candle on the work of `../work.py`. Usage: `candle_bench THREADS CASE`, with
//! `RAYON_NUM_THREADS` set to the same number, since candle takes its threads from there.

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{
    BatchNorm, BatchNormConfig, Linear, Module, ModuleT, Optimizer, SGD, VarBuilder, VarMap,
    batch_norm, linear, loss,
};
use std::hint::black_box;
use std::time::Instant;

const BOOK: [usize; 7] = [784, 100, 100, 100, 100, 100, 10];
const MID: [usize; 5] = [784, 512, 512, 512, 10];
const BIG: [usize; 5] = [784, 2048, 2048, 2048, 10];

/// Linear, BatchNorm and ReLU for each hidden layer, then Linear.
struct Net {
    hidden: Vec<(Linear, BatchNorm)>,
    last: Linear,
}

impl Net {
    fn new(sizes: &[usize], variables: VarBuilder) -> Result<Self> {
        let config = BatchNormConfig {
            eps: 1e-6,
            momentum: 0.1,
            ..Default::default()
        };
        let n = sizes.len();
        let mut hidden = Vec::new();
        for i in 0..n - 2 {
            let layer = variables.pp(format!("l{i}"));
            hidden.push((
                linear(sizes[i], sizes[i + 1], layer.pp("fc"))?,
                batch_norm(sizes[i + 1], config, layer.pp("bn"))?,
            ));
        }
        let last = linear(sizes[n - 2], sizes[n - 1], variables.pp("last"))?;
        Ok(Self { hidden, last })
    }

    fn forward(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let mut h = x.clone();
        for (affine, bn) in &self.hidden {
            h = bn.forward_t(&affine.forward(&h)?, train)?.relu()?;
        }
        self.last.forward(&h)
    }
}

/// Prints the median of seven times, each the mean of `repetitions` calls.
fn report(
    case: &str,
    warm_up: usize,
    repetitions: usize,
    mut f: impl FnMut() -> Result<()>,
) -> Result<()> {
    for _ in 0..warm_up {
        f()?;
    }
    let mut times = Vec::new();
    for _ in 0..7 {
        let start = Instant::now();
        for _ in 0..repetitions {
            f()?;
        }
        times.push(start.elapsed().as_secs_f64() / repetitions as f64 * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!(r#"{{"case": "{case}", "ms": {}}}"#, times[3]);
    Ok(())
}

fn step(
    case: &str,
    sizes: &[usize],
    batch: usize,
    repetitions: usize,
    warm_up: usize,
) -> Result<()> {
    let device = Device::Cpu;
    let variables = VarMap::new();
    let net = Net::new(
        sizes,
        VarBuilder::from_varmap(&variables, DType::F32, &device),
    )?;
    let mut sgd = SGD::new(variables.all_vars(), 0.01)?;
    let x = Tensor::rand(0f32, 1f32, (batch, sizes[0]), &device)?;
    let labels: Vec<u32> = (0..batch).map(|i| ((i * 7919 + 13) % 10) as u32).collect();
    let t = Tensor::from_vec(labels, batch, &device)?;
    report(case, warm_up, repetitions, || {
        let l = loss::cross_entropy(&net.forward(&x, true)?, &t)?;
        sgd.backward_step(&l)?;
        black_box(l.to_scalar::<f32>()?);
        Ok(())
    })
}

fn batch_normalization(shape: &[usize], repetitions: usize) -> Result<()> {
    let device = Device::Cpu;
    let variables = VarMap::new();
    let config = BatchNormConfig {
        eps: 1e-5,
        ..Default::default()
    };
    let builder = VarBuilder::from_varmap(&variables, DType::F32, &device);
    let bn = batch_norm(shape[1], config, builder)?;
    let x = Var::from_tensor(&Tensor::randn(0f32, 1f32, shape, &device)?)?;
    let dout = Tensor::randn(0f32, 1f32, shape, &device)?;
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    report(&format!("bn {}", sizes.join("x")), 5, repetitions, || {
        // candle has no backward pass from a given gradient, so this uses that of sum(y * dout).
        let y = bn.forward_train(&x)?;
        let gradients = (y * &dout)?.sum_all()?.backward()?;
        assert!(gradients.get(&x).is_some());
        Ok(())
    })
}

fn inference() -> Result<()> {
    let device = Device::Cpu;
    let variables = VarMap::new();
    let net = Net::new(
        &BOOK,
        VarBuilder::from_varmap(&variables, DType::F32, &device),
    )?;
    for (batch, repetitions) in [(1, 2000), (100, 300), (10_000, 5)] {
        let x = Tensor::rand(0f32, 1f32, (batch, 784), &device)?;
        // The weights are variables, so candle records a graph here too; this cannot be turned off.
        report(&format!("infer {batch}"), 10, repetitions, || {
            black_box(net.forward(&x, false)?);
            Ok(())
        })?;
    }
    Ok(())
}

fn main() -> Result<()> {
    let case = std::env::args().nth(2).unwrap_or_default();
    println!(
        r#"{{"engine": "candle 0.11.1", "blas": "gemm, AVX {}", "threads": {}}}"#,
        candle_core::utils::with_avx(),
        candle_core::utils::get_num_threads(),
    );
    match case.as_str() {
        "book" => step("book", &BOOK, 100, 200, 10),
        "mid" => step("mid", &MID, 256, 40, 10),
        "big" => step("big", &BIG, 1024, 3, 3),
        "bn" => {
            batch_normalization(&[100, 100], 500)?;
            batch_normalization(&[1024, 1024], 30)?;
            batch_normalization(&[8192, 4096], 1)?;
            batch_normalization(&[64, 64, 28, 28], 10)
        }
        "infer" => inference(),
        _ => {
            eprintln!("usage: candle_bench THREADS book|mid|big|bn|infer");
            std::process::exit(2)
        }
    }
}
