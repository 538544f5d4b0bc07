//! Regression: a network learns a function of one variable from noisy points, with and without Batch
//! Normalization. With it, R² on the test points is at least 0.94; the function itself, which does not
//! know the noise either, has 0.97.

use anyhow::{Context, Result};
use batchnorm::net::{History, Mae, Metric, R2Score, Record};
use batchnorm::rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use batchnorm::{Init, MeanSquaredError, Network, Schedule, Sgd, Targets, data::Dataset};
use bn_examples::args::RunArgs;
use bn_examples::epochs::{self, Epochs};
use bn_examples::histogram::short;
use bn_examples::line_chart::{Axis, Line, LineChart};
use bn_examples::picture::Area;
use bn_examples::style::{BLUE, GREEN, ORANGE, count, heading};
use bn_examples::values;
use clap::Parser;
use ndarray::{Array1, Array2};
use plotters::chart::SeriesLabelPosition;
use serde_json::json;
use std::{io::Write, process::ExitCode, time::Instant};

/// Fit a function of one variable to noisy points, with and without Batch Normalization, and draw
/// both fits
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// Seed of all random numbers; the same seed gives the same results on any number of threads
    #[arg(long, default_value_t = 42, value_parser = values::seed)]
    seed: u64,
    /// Training points; there are as many test points
    #[arg(long, default_value_t = 500, value_parser = values::size(10, 1_000_000))]
    points: usize,
    /// Standard deviation of the noise
    #[arg(long, default_value_t = 0.2, value_parser = values::standard_deviation)]
    noise: f64,
    /// Passes over the training points
    #[arg(long, default_value_t = 100, value_parser = values::times)]
    epochs: u64,
    /// Points per training step
    #[arg(long, default_value_t = 50, value_parser = values::size(2, 1_000_000))]
    batch_size: usize,
    /// Learning rate of both networks at the start; it falls to 0 along a cosine
    #[arg(long, default_value_t = 0.01, value_parser = values::learning_rate)]
    lr: f64,
    /// Sizes of the hidden layers, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "50,50,50",
          value_parser = values::size(1, 10_000))]
    hidden: Vec<usize>,
}

impl AsRef<RunArgs> for Args {
    fn as_ref(&self) -> &RunArgs {
        &self.run
    }
}

/// The points are from −RANGE to RANGE.
const RANGE: f32 = 3.0;

/// The function to learn.
fn function(x: f32) -> f32 {
    (3.0 * x).sin() + x / 2.0
}

fn main() -> ExitCode {
    bn_examples::run_without_data("bn-regression.png", regression)
}

fn regression(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(args.seed);
    let (train, test) = (points(args, &mut rng)?, points(args, &mut rng)?);
    let exact = test.images().mapv(function);
    let limit = R2Score::new().evaluate(exact.view(), test.targets())?;
    let hidden: String = args.hidden.iter().map(|size| format!("{size}-")).collect();
    writeln!(
        out,
        "{} training points and {} test points of sin(3x) + x/2, with noise of standard deviation {}\n\
         Both networks: 1-{hidden}1 with ReLU, mean squared error, SGD with learning rate {} falling to 0\n\
         along a cosine, {} of the same batches of {} (seed {})\n\
         The difference: one network has BatchNormalization before each ReLU.\n",
        train.len(),
        test.len(),
        args.noise,
        args.lr,
        count(args.epochs, "epoch"),
        args.batch_size,
        args.seed
    )?;
    let with = Fit::train(args, true, &train, &test)?;
    let without = Fit::train(args, false, &train, &test)?;

    writeln!(out, "on the test points              R²       MAE")?;
    for (name, fit) in [("with BatchNormalization", &with), ("without", &without)] {
        let (r2, mae) = (fit.last("R2")?, fit.last("MAE")?);
        writeln!(out, "{name:24} {r2:>9.4} {mae:>9.4}")?;
    }
    writeln!(out, "{:24} {limit:>9.4}", "the function itself")?;

    let mut results = args.run.results(start);
    results["seed"] = json!(args.seed);
    results["points"] = json!(args.points);
    results["noise"] = json!(args.noise);
    results["epochs"] = json!(args.epochs);
    results["batch_size"] = json!(args.batch_size);
    results["learning_rate"] = json!(args.lr);
    results["hidden"] = json!(args.hidden);
    results["r2_of_the_function"] = json!(limit);
    results["batch_norm"] = with.to_json()?;
    results["plain"] = without.to_json()?;
    args.run.write(&results, (1900, 900), |area| {
        let title = "The same network with and without Batch Normalization, fitted to noisy points";
        let subtitle = format!(
            "sin(3x) + x/2 with noise of standard deviation {}, {} points, network 1-{hidden}1, SGD {}, {}",
            args.noise,
            args.points,
            args.lr,
            count(args.epochs, "epoch")
        );
        draw(&heading(area, title, &subtitle)?, &train, &with, &without)
    })
}

/// Points `x: (N, 1)` with values `t: (N, 1)`.
fn points(args: &Args, rng: &mut Xoshiro256PlusPlus) -> Result<Dataset> {
    let x = Array2::from_shape_simple_fn((args.points, 1), || rng.random_range(-RANGE..RANGE));
    let noise: Array2<f32> = Init::Std(args.noise).sample((args.points, 1), rng)?;
    let t = x.mapv(function) + noise;
    Ok(Dataset::with_values(x, t, (1, 1, 1))?)
}

/// A trained network's evaluations, and its outputs between −RANGE and RANGE.
struct Fit {
    history: History,
    curve: Vec<(f64, f64)>,
}

impl Fit {
    /// Trains one of the two networks.
    fn train(args: &Args, batch_norm: bool, train: &Dataset, test: &Dataset) -> Result<Self> {
        let mut builder = Network::builder(1);
        for &size in &args.hidden {
            builder = builder.affine(size);
            if batch_norm {
                builder = builder.batch_norm();
            }
            builder = builder.relu();
        }
        let mut network = builder.affine(1).build(args.seed)?;
        let epochs = Epochs {
            name: if batch_norm { "with BN, " } else { "without, " },
            count: args.epochs,
            batch_size: args.batch_size,
            seed: args.seed,
            quiet_seconds: 2.0,
            checkpoint: None,
        };
        let metrics: Vec<Box<dyn Metric<f32>>> =
            vec![Box::new(R2Score::new()), Box::new(Mae::new())];
        let trainer = epochs
            .trainer()
            .metrics(metrics)
            .schedule(Schedule::Cosine {
                lr: args.lr,
                steps: epochs.steps(train),
                min_lr: 0.0,
            });
        let (mut loss, mut sgd) = (MeanSquaredError::new(), Sgd::new(args.lr)?);
        let (history, trained) =
            epochs.fit(&trainer, &mut network, &mut loss, &mut sgd, train, test);
        trained?;

        let x = Array1::linspace(-RANGE, RANGE, 601); // (601)
        let y = network.predict(x.view().insert_axis(ndarray::Axis(1)))?; // (601, 1)
        let curve = x.iter().zip(&y).map(|(&x, &y)| (x.into(), y.into()));
        Ok(Self {
            history,
            curve: curve.collect(),
        })
    }

    /// The metric on the test points after the last epoch.
    fn last(&self, metric: &str) -> Result<f64> {
        let record = self.history.last().context("there was no epoch")?;
        record.test(metric).context("the metric is undefined")
    }

    fn to_json(&self) -> Result<serde_json::Value> {
        Ok(json!({
            "test_r2": self.last("R2")?,
            "test_mae": self.last("MAE")?,
            "history": self.history.records,
            "curve": self.curve,
        }))
    }
}

fn draw(area: &Area<'_>, train: &Dataset, with: &Fit, without: &Fit) -> Result<()> {
    let (left, right) = area.split_horizontally(1180);
    let range = f64::from(RANGE);
    let line = |name, points, color, dashed| Line {
        name,
        points,
        color,
        dashed,
    };
    let function = with
        .curve
        .iter()
        .map(|&(x, _)| (x, f64::from(function(x as f32))));
    let dots: Vec<(f64, f64)> = match train.targets() {
        Targets::Dense(t) => {
            let pairs = train.images().into_iter().zip(t);
            pairs.map(|(&x, &t)| (x.into(), t.into())).collect()
        }
        Targets::Labels(_) => Vec::new(),
    };
    // A fit may leave the range of the points; it is drawn at the border there.
    let values = dots.iter().map(|&(_, t)| t);
    let (lowest, highest) = values.fold((-2.5, 2.5), |(low, high): (f64, f64), t| {
        (low.min(t), high.max(t))
    });
    let inside = |curve: &[(f64, f64)]| {
        let points = curve.iter();
        points
            .map(|&(x, y)| (x, y.clamp(lowest, highest)))
            .collect()
    };
    let fits = LineChart {
        title: "The fits",
        x: Axis {
            name: "x",
            range: -range..range,
            ticks: 7,
            format: &|x| format!("{x:.0}"),
        },
        y: Axis {
            name: "y",
            range: lowest..highest,
            ticks: 7,
            format: &|y| short(*y),
        },
        lines: vec![
            line("true function", function.collect(), GREEN, false),
            line("with BatchNormalization", inside(&with.curve), BLUE, false),
            line("without", inside(&without.curve), ORANGE, true),
        ],
        legend: Some(SeriesLabelPosition::UpperLeft),
        font_size: 28,
    };
    fits.draw_with_dots(&left, "training points", &dots)?;

    let r2 = |record: &Record| record.test("R2").unwrap_or(0.0).max(0.0);
    let points = |fit: &Fit| {
        let records = fit.history.records.iter();
        records.map(|record| (record.epoch, r2(record))).collect()
    };
    let scores = LineChart {
        title: "Test R² (0 if negative)",
        x: epochs::axis(&with.history),
        y: Axis {
            name: "R²",
            range: 0.0..1.0,
            ticks: 6,
            format: &|r2| format!("{r2:.1}"),
        },
        lines: vec![
            line("with BatchNormalization", points(with), BLUE, false),
            line("without", points(without), ORANGE, true),
        ],
        legend: Some(SeriesLabelPosition::LowerRight),
        font_size: 28,
    };
    scores.draw(&right)
}
