//! A training loop of one's own: batches, gradients, clipping and the optimizer's step, with the
//! gradients of several batches for each update if that is wanted. The trainer does the same, and more.

use anyhow::Result;
use batchnorm::net::Accumulator;
use batchnorm::{Adam, Batches, Clip, LastBatch, Network, Sampling, SoftmaxWithLoss};
use bn_examples::args::{CommonArgs, Defaults};
use bn_examples::histogram::short;
use bn_examples::line_chart::{Axis, Line, LineChart};
use bn_examples::style::{BLUE, ORANGE, count, heading, percent};
use bn_examples::values;
use clap::Parser;
use plotters::chart::SeriesLabelPosition;
use serde_json::json;
use std::{io::Write, process::ExitCode, time::Instant};

/// Train a network in a loop of one's own, with clipped gradients and several batches for each update
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Passes over the training set
    #[arg(long, default_value_t = 10, value_parser = values::times)]
    epochs: u64,
    /// Images per batch
    #[arg(long, default_value_t = 50, value_parser = values::batch_size)]
    batch_size: usize,
    /// Batches whose gradients make one update; those left over at the end of an epoch make one too
    #[arg(long, default_value_t = 2, value_parser = values::size(1, 60_000))]
    accumulate: usize,
    /// Largest norm of all gradients together; larger ones are scaled down to it
    #[arg(long, default_value_t = 1.0, value_parser = values::learning_rate)]
    clip: f64,
    /// Adam's learning rate
    #[arg(long, default_value_t = 0.003, value_parser = values::learning_rate)]
    lr: f64,
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}

fn main() -> ExitCode {
    let defaults = Defaults {
        data: "digits",
        picture: Some("bn-custom-loop.png"),
    };
    bn_examples::run(defaults, custom_loop)
}

fn custom_loop(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    let (train, test) = args.common.load()?;
    let mut network = Network::builder(train.images().ncols())
        .affine_without_bias(100)
        .batch_norm()
        .relu()
        .affine_without_bias(100)
        .batch_norm()
        .relu()
        .affine(train.classes())
        .build(args.common.seed)?;
    writeln!(out, "{}\n", network.summary())?;

    let sampling = Sampling::Permutation(LastBatch::Merge); // a last batch of one image is no batch
    let mut batches = Batches::with_sampling(&train, args.batch_size, sampling, args.common.seed)?;
    let (mut loss, mut adam) = (SoftmaxWithLoss::new(), Adam::pytorch(args.lr)?);
    let mut accumulator = Accumulator::default();
    let mut updates = Vec::new(); // the loss of each, and the norm of the gradients before clipping
    let mut accuracies = Vec::new();
    for epoch in 1..=args.epochs {
        let first = updates.len();
        while let Some(batch) = batches.next_batch() {
            let (x, t, mut norm) = (batch.images, batch.targets, 0.0);
            let clip = |network: &mut Network| {
                norm = Clip::Norm(args.clip).apply(network)?;
                Ok(())
            };
            let value = if args.accumulate == 1 {
                network.train_step_with(x, t, &mut loss, &mut adam, clip)?
            } else {
                accumulator.add(&mut network, x, t, &mut loss)?;
                let is_last = batches.state().position == batches.batches_per_epoch();
                if accumulator.micro_batches() < args.accumulate && !is_last {
                    continue;
                }
                accumulator.step(&mut network, &mut adam, clip)?
            };
            updates.push((value, norm));
        }
        let of_epoch = &updates[first..];
        let mean = of_epoch.iter().map(|update| update.0).sum::<f64>() / of_epoch.len() as f64;
        let accuracy = network.accuracy(test.images(), test.labels())?;
        writeln!(
            out,
            "epoch {epoch} of {}: {}, training loss {mean:.4}, accuracy {} (test)",
            args.epochs,
            count(of_epoch.len() as u64, "update"),
            percent(accuracy, 2)
        )?;
        accuracies.push(accuracy);
    }

    let mut results = args.common.results(start);
    results["epochs"] = json!(args.epochs);
    results["batch_size"] = json!(args.batch_size);
    results["accumulate"] = json!(args.accumulate);
    results["clip"] = json!(args.clip);
    results["learning_rate"] = json!(args.lr);
    results["test_accuracies"] = json!(accuracies);
    results["losses"] = updates.iter().map(|update| json!(update.0)).collect();
    results["gradient_norms"] = updates.iter().map(|update| json!(update.1)).collect();
    args.common.write(&results, (1800, 860), |area| {
        let title = "A training loop of one's own";
        let subtitle = format!(
            "{}, Adam {}, {} of {} images for each update, gradients clipped to a norm of {}",
            args.common.data.title(),
            args.lr,
            count(args.accumulate as u64, "batch").replace("batchs", "batches"),
            args.batch_size,
            args.clip
        );
        let panels = heading(area, title, &subtitle)?.split_evenly((1, 2));
        let losses: Vec<f64> = updates.iter().map(|update| update.0).collect();
        let norms: Vec<f64> = updates.iter().map(|update| update.1).collect();
        chart("Training loss", "loss", &losses, None).draw(&panels[0])?;
        chart("Norm of the gradients", "norm", &norms, Some(args.clip)).draw(&panels[1])
    })
}

/// The value of each update, and the limit, if there is one.
fn chart<'a>(title: &'a str, name: &'a str, values: &[f64], limit: Option<f64>) -> LineChart<'a> {
    let highest = values.iter().copied().fold(limit.unwrap_or(0.0), f64::max);
    let last = values.len() as f64;
    let points = (1..)
        .zip(values)
        .map(|(update, &value)| (f64::from(update), value));
    let mut lines = vec![Line {
        name,
        points: points.collect(),
        color: BLUE,
        dashed: false,
    }];
    if let Some(limit) = limit {
        lines.push(Line {
            name: "clipped to",
            points: vec![(0.0, limit), (last, limit)],
            color: ORANGE,
            dashed: true,
        });
    }
    LineChart {
        title,
        x: Axis {
            name: "update",
            range: 0.0..last,
            ticks: 6,
            format: &|update| format!("{update:.0}"),
        },
        y: Axis {
            name,
            range: 0.0..1.05 * highest,
            ticks: 6,
            format: &|value| short(*value),
        },
        lines,
        legend: limit.map(|_| SeriesLabelPosition::UpperRight),
        font_size: 28,
    }
}
