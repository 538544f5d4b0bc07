//! `bn bench`.

use crate::{
    error::Error,
    model,
    output::{Output, table},
    values,
};
use bn_net::{Network, Sgd, SoftmaxWithLoss, Workspace};
use bn_tensor::try_zeros;
use clap::Args;
use ndarray::Array2;
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// The rows of a prediction.
const BATCHES: [usize; 4] = [1, 16, 100, 256];

/// The rows of a training step.
const STEP: usize = 100;

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The model [default: a network 784-5×100-10 with Batch Normalization, that of the book]
    model: Option<PathBuf>,
    /// How long each measurement takes, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5, value_parser = values::above_zero)]
    seconds: f64,
}

/// The median time of some work on `rows` rows.
struct Measured {
    what: &'static str,
    rows: usize,
    seconds: f64,
}

pub(crate) fn report(args: &BenchArgs, output: Output) -> Result<(), Error> {
    let (name, mut network) = match &args.model {
        Some(path) => (path.display().to_string(), model::load(path)?.model.network),
        None => ("784-5×100-10".to_owned(), book()?),
    };
    let budget = Duration::try_from_secs_f64(args.seconds)
        .map_err(|error| Error::usage(format!("--seconds: {error}"), "give a shorter time"))?;
    let mut measured = Vec::new();
    let mut workspace = Workspace::default();
    for rows in BATCHES {
        let x = rows_for(&network, rows)?;
        let seconds = median(budget, || {
            network.predict_with(x.view(), &mut workspace)?;
            Ok(())
        })?;
        measured.push(Measured {
            what: "predict",
            rows,
            seconds,
        });
    }
    let classes = network.output().size();
    if classes > 1 {
        let x = rows_for(&network, STEP)?;
        let labels: Vec<usize> = (0..STEP).map(|row| row % classes).collect();
        // So small a rate changes nothing that takes time.
        let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(1e-12)?);
        let seconds = median(budget, || {
            network.train_step(x.view(), (&labels).into(), &mut loss, &mut sgd)?;
            Ok(())
        })?;
        measured.push(Measured {
            what: "training step",
            rows: STEP,
            seconds,
        });
    }
    let (backend, threads) = (bn_tensor::matmul_backend(), bn_tensor::threads());
    let json = json!({
        "model": name,
        "parameters": network.param_count(),
        "threads": threads,
        "matmul": backend,
        "measurements": measured.iter().map(Measured::to_json).collect::<Vec<_>>(),
    });
    output.report(&json, || {
        let mut rows = vec![["", "rows", "time", "rows/s"].map(str::to_owned).to_vec()];
        rows.extend(measured.iter().map(Measured::cells));
        format!("{name}; {threads} threads; {backend}\n{}", table(&rows))
    })
}

impl Measured {
    fn rate(&self) -> f64 {
        self.rows as f64 / self.seconds
    }

    fn cells(&self) -> Vec<String> {
        let time = match self.seconds {
            s if s < 1e-3 => format!("{:.1} µs", 1e6 * s),
            s => format!("{:.2} ms", 1e3 * s),
        };
        vec![
            self.what.to_owned(),
            self.rows.to_string(),
            time,
            format!("{:.0}", self.rate()),
        ]
    }

    fn to_json(&self) -> Value {
        json!({
            "what": self.what, "rows": self.rows, "seconds": self.seconds, "rows_per_second": self.rate(),
        })
    }
}

/// The network of the book's comparison.
fn book() -> Result<Network, Error> {
    let mut builder = Network::builder(784);
    for _ in 0..5 {
        builder = builder.affine(100).batch_norm().relu();
    }
    Ok(builder.affine(10).build(0)?)
}

/// Rows whose values differ.
fn rows_for(network: &Network, rows: usize) -> Result<Array2<f32>, Error> {
    let mut x = try_zeros("the rows", (rows, network.input().size()))?;
    for (i, value) in x.iter_mut().enumerate() {
        *value = (i as f32).sin();
    }
    Ok(x)
}

/// The median time of a run, for at least five runs and `budget`.
fn median(budget: Duration, mut work: impl FnMut() -> Result<(), Error>) -> Result<f64, Error> {
    work()?; // fills buffers and caches
    let (start, mut times) = (Instant::now(), Vec::new());
    while times.len() < 5 || start.elapsed() < budget {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
