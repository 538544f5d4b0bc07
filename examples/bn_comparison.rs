//! The book's comparison of networks with and without Batch Normalization
//! (`ch06/batch_norm_test.py`), for sixteen standard deviations of the initial weights from 1 to
//! 0.0001.

use anyhow::{Context, Result, ensure};
use batchnorm::net::{Error, WeightInitStd};
use batchnorm::{
    Batches, MultiLayerNet, MultiLayerNetConfig, Sampling, Sgd, data::Batch, data::Dataset,
};
use bn_examples::args::{CommonArgs, Defaults};
use bn_examples::line_chart::{Axis, Line, LineChart};
use bn_examples::picture::Area;
use bn_examples::style::{BLUE, ORANGE, heading, percent, progress_bar};
use bn_examples::values;
use clap::Parser;
use plotters::chart::SeriesLabelPosition;
use serde_json::json;
use std::{io::Write, process::ExitCode, time::Instant};

/// Draw the book's sixteen panels: accuracy with and without Batch Normalization, for initial
/// weights with standard deviations from 1 to 0.0001
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Number of training images to use
    #[arg(long, default_value_t = 1000, value_parser = values::size(2, 60_000))]
    images: usize,
    /// Images per training step, drawn with replacement; at most --images
    #[arg(long, default_value_t = 100, value_parser = values::batch_size)]
    batch_size: usize,
    /// Learning rate of all networks
    #[arg(long, default_value_t = 0.01, value_parser = values::learning_rate)]
    lr: f64,
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}

const PANELS: usize = 16;
const COLUMNS: usize = 4;
const POINTS: usize = 20;

/// One of the sixteen panels.
struct Panel {
    weight_init_std: f64,
    batch_norm: Curve,
    plain: Curve,
}

struct Curve {
    /// The accuracy on the training images, evaluated `POINTS` times.
    accuracies: Vec<f64>,
    /// The first step whose results were not finite.
    stopped_at: Option<usize>,
}

fn main() -> ExitCode {
    let defaults = Defaults {
        data: "mnist",
        picture: Some("bn-comparison.png"),
    };
    bn_examples::run(defaults, bn_comparison)
}

fn bn_comparison(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    ensure!(
        args.batch_size <= args.images,
        "--batch-size {} is more than --images {}",
        args.batch_size,
        args.images
    );
    let (train, _) = args.common.load()?;
    let train = train.take(args.images);
    writeln!(out, "                  training accuracy at the end")?;
    writeln!(out, "weight_init_std     with BN     without")?;
    let bar = progress_bar(PANELS as u64, "panels");
    let mut panels = Vec::new();
    for i in 0..PANELS {
        // The book's np.logspace(0, -4, num=16).
        let weight_init_std = 10f64.powf(-4.0 * i as f64 / (PANELS - 1) as f64);
        let panel = compare(args, &train, weight_init_std)?;
        bar.suspend(|| write_row(&mut out, &panel))?;
        panels.push(panel);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let learned = |curve: fn(&Panel) -> &Curve| {
        let learned = panels.iter().filter(|p| last(curve(p)) >= 0.25);
        learned.count()
    };
    writeln!(
        out,
        "\nAbove 25 % at the end (guessing gives 10 %): {} of {PANELS} networks with \
         BatchNormalization, {} without.",
        learned(|p| &p.batch_norm),
        learned(|p| &p.plain)
    )?;

    let mut results = args.common.results(start);
    results["images"] = json!(train.len());
    results["batch_size"] = json!(args.batch_size);
    results["learning_rate"] = json!(args.lr);
    let panel = |p: &Panel| {
        json!({
            "weight_init_std": p.weight_init_std,
            "batch_norm": p.batch_norm.accuracies,
            "plain": p.plain.accuracies,
        })
    };
    results["panels"] = panels.iter().map(panel).collect();
    args.common.write(&results, (1800, 1900), |area| {
        draw(area, &panels, args, &train)
    })
}

/// Trains both networks on the same batches and evaluates them when the book's loop does: after
/// steps 1, 1 + k, 1 + 2k and so on, where k is the number of steps per epoch.
fn compare(args: &Args, train: &Dataset, weight_init_std: f64) -> Result<Panel> {
    let config = |use_batchnorm| MultiLayerNetConfig {
        weight_init_std: WeightInitStd::Std(weight_init_std),
        use_batchnorm,
        ..MultiLayerNetConfig::new(train.images().ncols(), &[100; 5], train.classes())
    };
    let seed = args.common.seed;
    let mut batch_norm = Learner::new(&config(true), seed, args.lr)?;
    let mut plain = Learner::new(&config(false), seed, args.lr)?;
    let sampling = Sampling::WithReplacement;
    let mut batches = Batches::with_sampling(train, args.batch_size, sampling, seed)?;
    let per_epoch = batches.batches_per_epoch();
    let steps = 1 + (POINTS - 1) * per_epoch;
    let mut step = 0;
    while step < steps {
        let Some(batch) = batches.next_batch() else {
            continue; // the next epoch begins
        };
        step += 1;
        for learner in [&mut batch_norm, &mut plain] {
            learner.step(step, batch)?;
            if step % per_epoch == 1 || per_epoch == 1 {
                learner.evaluate(train)?;
            }
        }
    }
    Ok(Panel {
        weight_init_std,
        batch_norm: batch_norm.curve,
        plain: plain.curve,
    })
}

struct Learner {
    network: MultiLayerNet,
    sgd: Sgd<f32>,
    curve: Curve,
}

impl Learner {
    fn new(config: &MultiLayerNetConfig, seed: u64, lr: f64) -> Result<Self> {
        Ok(Self {
            network: MultiLayerNet::new(config, seed)?,
            sgd: Sgd::new(lr)?,
            curve: Curve {
                accuracies: Vec::with_capacity(POINTS),
                stopped_at: None,
            },
        })
    }

    /// Takes a step, unless the results of an earlier step were not finite. The book's network
    /// becomes NaN at that point; this one is not changed any more.
    fn step(&mut self, step: usize, batch: Batch<'_>) -> Result<()> {
        if self.curve.stopped_at.is_some() {
            return Ok(());
        }
        let (x, t) = (batch.images, batch.targets);
        match self.network.train_step(x, t, &mut self.sgd) {
            Err(Error::NonFinite { .. }) => self.curve.stopped_at = Some(step),
            result => {
                result?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, train: &Dataset) -> Result<()> {
        let accuracy = self.network.accuracy(train.images(), train.labels())?;
        self.curve.accuracies.push(accuracy);
        Ok(())
    }
}

fn last(curve: &Curve) -> f64 {
    curve.accuracies.last().copied().unwrap_or(f64::NAN)
}

fn write_row(out: &mut dyn Write, p: &Panel) -> std::io::Result<()> {
    let note = match p.plain.stopped_at {
        Some(step) => format!("   stopped at step {step}: the loss was not finite"),
        None => String::new(),
    };
    writeln!(
        out,
        "{:>15} {:>11} {:>11}{note}",
        digits4(p.weight_init_std),
        percent(last(&p.batch_norm), 1),
        percent(last(&p.plain), 1)
    )
}

fn draw(area: &Area<'_>, panels: &[Panel], args: &Args, train: &Dataset) -> Result<()> {
    let subtitle = format!(
        "W: standard deviation of the initial weights. First {} images of {}, five hidden layers of 100 with ReLU, SGD {}",
        train.len(),
        args.common.data.title(),
        args.lr
    );
    let title = "Training accuracy with and without Batch Normalization";
    let body = heading(area, title, &subtitle)?;
    // The outer panels also have the axes' numbers. All plots have the same size.
    let (width, height) = body.dim_in_pixel();
    let (axis_x, axis_y) = (60, 96);
    let column = (width as i32 - axis_y) / COLUMNS as i32;
    let row = (height as i32 - axis_x) / (PANELS / COLUMNS) as i32;
    let xs: Vec<i32> = (1..COLUMNS as i32).map(|i| axis_y + i * column).collect();
    let ys: Vec<i32> = (1..(PANELS / COLUMNS) as i32).map(|i| i * row).collect();
    let cells = body.split_by_breakpoints(xs, ys);
    for (i, (panel, cell)) in panels.iter().zip(&cells).enumerate() {
        let outer_x = i >= PANELS - COLUMNS;
        let outer_y = i % COLUMNS == 0;
        let line = |name, curve: &Curve, color, dashed| Line {
            name,
            points: (0..)
                .map(f64::from)
                .zip(curve.accuracies.iter().copied())
                .collect(),
            color,
            dashed,
        };
        let chart = LineChart {
            title: &format!("W = {}", digits4(panel.weight_init_std)),
            x: Axis {
                name: if outer_x { "epoch" } else { "" },
                range: 0.0..POINTS as f64,
                ticks: 5,
                format: &|epoch| epoch.to_string(),
            },
            y: Axis {
                name: if outer_y { "accuracy" } else { "" },
                range: 0.0..1.0,
                ticks: 6,
                format: &|accuracy| format!("{accuracy:.1}"),
            },
            lines: vec![
                line("with Batch Normalization", &panel.batch_norm, BLUE, false),
                line("without", &panel.plain, ORANGE, true),
            ],
            legend: (i == PANELS - 1).then_some(SeriesLabelPosition::UpperRight),
            font_size: 24,
        };
        chart.draw(cell).with_context(|| format!("panel {i}"))?;
    }
    Ok(())
}

/// A number with four significant digits.
fn digits4(std: f64) -> String {
    let decimals = (3 - std.log10().floor() as i32).max(0) as usize;
    let text = format!("{std:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
