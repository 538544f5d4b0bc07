//! The book's comparison of networks with and without Batch Normalization
//! (`ch06/batch_norm_test.py`), for sixteen standard deviations of the initial weights from 1 to
//! 0.0001.

mod picture;
mod training;

use anyhow::{Result, ensure};
use batchnorm::{Dataset, RandomState};
use bn_examples::args::{CommonArgs, Defaults};
use bn_examples::style::{percent, progress_bar};
use bn_examples::values;
use clap::Parser;
use serde_json::json;
use std::{io::Write, process::ExitCode, time::Instant};
use training::{Curve, Panel};

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
    /// Repeat the book's program in NumPy after np.random.seed(NUMPY_SEED), number for number: one
    /// generator draws all weights and mini-batches, and the networks compute in double precision
    #[arg(long, conflicts_with = "seed")]
    numpy_seed: Option<u32>,
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}

const PANELS: usize = 16;
/// How often each network is evaluated.
const POINTS: usize = 20;

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
    let numpy = args.numpy_seed.map(|seed| as_numpy(args, &train, seed));
    let mut numpy = numpy.transpose()?;
    writeln!(out, "                  training accuracy at the end")?;
    writeln!(out, "weight_init_std     with BN     without")?;
    let bar = progress_bar(PANELS as u64, "panels");
    let mut panels = Vec::new();
    for i in 0..PANELS {
        // The book's np.logspace(0, -4, num=16).
        let weight_init_std = 10f64.powf(-4.0 * i as f64 / (PANELS - 1) as f64);
        let panel = match &mut numpy {
            Some((random, train)) => {
                training::compare_as_numpy(args, train, weight_init_std, random)?
            }
            None => training::compare(args, &train, weight_init_std)?,
        };
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
    if let Some(seed) = args.numpy_seed {
        results["seed"] = json!(null);
        results["numpy_seed"] = json!(seed);
    }
    results["images"] = json!(train.len());
    results["batch_size"] = json!(args.batch_size);
    results["learning_rate"] = json!(args.lr);
    let panel = |p: &Panel| {
        json!({
            "weight_init_std": p.weight_init_std,
            "batch_norm": p.batch_norm.accuracies,
            "plain": p.plain.accuracies,
            "first_losses": {
                "batch_norm": p.batch_norm.first_losses,
                "plain": p.plain.first_losses,
            },
        })
    };
    results["panels"] = panels.iter().map(panel).collect();
    args.common.write(&results, (1800, 1900), |area| {
        picture::draw(area, &panels, args, &train)
    })
}

/// NumPy's generator, and the images in the type of NumPy's results.
fn as_numpy(args: &Args, train: &Dataset, seed: u32) -> Result<(RandomState, Dataset<f64>)> {
    ensure!(
        train.len().is_multiple_of(args.batch_size),
        "the book's program needs an equal number of images in each batch: with --numpy-seed, choose a \
         --batch-size that divides {}, the number of images",
        train.len()
    );
    let (labels, shape) = (train.labels().to_vec(), train.image_shape());
    let images = train.images().mapv(f64::from);
    let train = Dataset::new(images, labels, shape, train.classes())?;
    Ok((RandomState::seed(seed), train))
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

/// A number with four significant digits.
fn digits4(std: f64) -> String {
    let decimals = (3 - std.log10().floor() as i32).max(0) as usize;
    let text = format!("{std:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
