//! The functional form of Batch Normalization: this program owns gamma, beta and the running
//! statistics, and takes the gradient steps.
//!
//! Gamma and beta learn to undo the normalisation, as section 3 of the paper says they can
//! (arXiv:1502.03167): gamma becomes the standard deviation of x, and beta its mean.

use anyhow::{Context, Result};
use batchnorm::Sampling;
use batchnorm::data::{Batches, Dataset, LastBatch};
use batchnorm::layers::{BatchNormCache, BatchNormConfig, RunningStats};
use batchnorm::layers::{batch_norm_backward, batch_norm_eval, batch_norm_train};
use bn_examples::args::{CommonArgs, Defaults};
use bn_examples::histogram::{self, Panel, Row, short};
use bn_examples::style::{BLUE, GREEN, ORANGE, heading};
use bn_examples::values;
use clap::Parser;
use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde_json::json;
use std::{io::Write, process::ExitCode, time::Instant};

/// Train gamma and beta, with the functional form of Batch Normalization, until they undo it
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Passes over the training set
    #[arg(long, default_value_t = 5, value_parser = values::times)]
    epochs: u64,
    /// Images per training step
    #[arg(long, default_value_t = 100, value_parser = values::batch_size)]
    batch_size: usize,
    /// Learning rate
    #[arg(long, default_value_t = 0.1, value_parser = values::learning_rate)]
    lr: f64,
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}

/// What a BatchNormalization layer would own, for D channels.
struct Parameters {
    gamma: Array1<f32>,         // (D)
    beta: Array1<f32>,          // (D)
    running: RunningStats<f32>, // (D) each
}

fn main() -> ExitCode {
    let defaults = Defaults {
        data: "digits",
        picture: None,
    };
    bn_examples::run(defaults, functional)
}

/// Minimises `L = Σ(y − x)²/2N` for `y = BatchNormalization(x)`.
fn learn(args: &Args, config: &BatchNormConfig, train: &Dataset) -> Result<Parameters> {
    let d = train.images().ncols();
    let (mut gamma, mut beta) = (Array1::ones(d), Array1::zeros(d));
    let (mut dgamma, mut dbeta) = (Array1::zeros(d), Array1::zeros(d));
    let mut running = RunningStats::new(d, config)?;
    let mut cache = BatchNormCache::default();
    let sampling = Sampling::Permutation(LastBatch::Drop);
    let mut batches = Batches::with_sampling(train, args.batch_size, sampling, args.common.seed)?;
    let mut y = Array2::zeros((args.batch_size, d));
    let lr = args.lr as f32;
    for _ in 0..args.epochs {
        while let Some(batch) = batches.next_batch() {
            let x = batch.images.insert_axis(Axis(2)); // (N, D, 1)
            let (g, b) = (Some(gamma.view()), Some(beta.view()));
            let y3 = y.view_mut().insert_axis(Axis(2));
            batch_norm_train(x, g, b, Some(&mut running), config, &mut cache, y3)?;

            let dout = (&y - &batch.images) / args.batch_size as f32; // dL/dy
            let dout = dout.view().insert_axis(Axis(2));
            let (dg, db) = (dgamma.as_slice_mut(), dbeta.as_slice_mut());
            batch_norm_backward(x, dout, g, &mut cache, dg, db, None)?;

            gamma.scaled_add(-lr, &dgamma);
            beta.scaled_add(-lr, &dbeta);
        }
    }
    Ok(Parameters {
        gamma,
        beta,
        running,
    })
}

fn functional(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    let (train, test) = args.common.load()?;
    let config = BatchNormConfig::paper();
    let learned = learn(args, &config, &train)?;

    let initial = Parameters {
        gamma: Array1::ones(learned.gamma.len()),
        beta: Array1::zeros(learned.beta.len()),
        running: learned.running.clone(),
    };
    let normalized = evaluate(&initial, &config, test.images())?;
    let restored = evaluate(&learned, &config, test.images())?;
    let error = |y: &Array2<f32>| f64::from((y - &test.images()).powi(2).mean().unwrap_or(0.0));

    let (mean, std) = (
        train.images().mean_axis(Axis(0)),
        train.images().std_axis(Axis(0), 0.0),
    );
    let mean = mean.context("there are no training images")?;
    let mut pixels: Vec<usize> = (0..std.len()).collect();
    pixels.sort_by(|&a, &b| std[b].total_cmp(&std[a]));
    pixels.truncate(5);
    writeln!(
        out,
        "The five pixels of {} with the largest standard deviation:\n",
        args.common.data.title()
    )?;
    writeln!(out, "pixel   std of x    gamma    mean of x     beta")?;
    for &c in &pixels {
        let (gamma, beta) = (learned.gamma[c], learned.beta[c]);
        writeln!(
            out,
            "{c:>5} {:>10.4} {gamma:>8.4} {:>12.4} {beta:>8.4}",
            std[c], mean[c]
        )?;
    }
    writeln!(
        out,
        "\nMean of (y - x)² on the test images: {} before training, {} after it.",
        short(error(&normalized)),
        short(error(&restored))
    )?;

    let mut results = args.common.results(start);
    results["epochs"] = json!(args.epochs);
    results["batch_size"] = json!(args.batch_size);
    results["learning_rate"] = json!(args.lr);
    results["mean_square_error_before"] = json!(error(&normalized));
    results["mean_square_error"] = json!(error(&restored));
    for (name, values) in [
        ("gamma", &learned.gamma),
        ("beta", &learned.beta),
        ("mean", &mean),
        ("std", &std),
    ] {
        results[name] = json!(values.to_vec());
    }
    args.common.write(&results, (1900, 1250), |area| {
        let row = |name, color, y: ArrayView2<'_, f32>| {
            let panels = pixels.iter().map(|&c| panel(c, y)).collect();
            Row {
                name,
                color,
                panels,
            }
        };
        let rows = [
            (row("x", GREEN, test.images()), -0.5..1.5),
            (
                row("y before training", ORANGE, normalized.view()),
                -3.0..3.0,
            ),
            (row("y after training", BLUE, restored.view()), -0.5..1.5),
        ];
        let title = "gamma and beta learn to undo the normalisation";
        let subtitle = format!(
            "the five pixels of {} with the largest standard deviation, test images",
            args.common.data.title()
        );
        histogram::draw(&heading(area, title, &subtitle)?, &rows)
    })
}

/// `y: (N, D)` for `x: (N, D)`, normalised by the running statistics.
fn evaluate(
    p: &Parameters,
    config: &BatchNormConfig,
    x: ArrayView2<'_, f32>,
) -> Result<Array2<f32>> {
    let mut y = Array2::zeros(x.dim());
    let (gamma, beta) = (Some(p.gamma.view()), Some(p.beta.view()));
    let (x3, y3) = (x.insert_axis(Axis(2)), y.view_mut().insert_axis(Axis(2)));
    batch_norm_eval(
        x3,
        gamma,
        beta,
        &p.running,
        config,
        &mut BatchNormCache::default(),
        y3,
    )?;
    Ok(y)
}

fn panel(pixel: usize, y: ArrayView2<'_, f32>) -> Panel {
    let values = y.column(pixel).mapv(f64::from);
    let (mean, std) = (values.mean().unwrap_or(f64::NAN), values.std(0.0));
    Panel {
        title: format!("pixel {pixel}"),
        note: format!("mean {mean:.2}, std {std:.2}"),
        values: values.to_vec(),
    }
}
