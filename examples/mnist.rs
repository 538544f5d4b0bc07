//! The book's deep network with Batch Normalization on all of MNIST: five hidden layers of 100,
//! above 98 % of the test images in less than a minute.

mod common;

use anyhow::{Context, Result, bail};
use batchnorm::net::{ConfusionMatrix, History};
use batchnorm::{Adam, Network, Schedule, SoftmaxWithLoss, Trainer, data::Dataset};
use clap::Parser;
use common::args::{CommonArgs, Defaults};
use common::line_chart::{Axis, Line, LineChart};
use common::picture::Area;
use common::style::{BLUE, ORANGE, heading, percent};
use common::{confusion, memory, output};
use plotters::chart::SeriesLabelPosition;
use serde_json::json;
use std::{io::Write, path::Path, path::PathBuf, process::ExitCode, time::Instant};

/// Train a deep network with Batch Normalization on all of MNIST
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Times through the training set
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    epochs: u64,
    /// Images of a step
    #[arg(long, default_value_t = 100)]
    batch_size: usize,
    /// First learning rate of Adam, from where it falls to 0 along a cosine
    #[arg(long, default_value_t = 0.003)]
    lr: f64,
    /// Share of the hidden values that Dropout drops in training
    #[arg(long, default_value_t = 0.05)]
    dropout: f64,
    /// Sizes of the hidden layers
    #[arg(long, value_delimiter = ',', default_value = "100,100,100,100,100")]
    hidden: Vec<usize>,
    /// Where to write the figures of each epoch, a .csv or a .json
    #[arg(long, value_name = "FILE", default_value = "mnist-history.csv")]
    history: PathBuf,
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}

fn main() -> ExitCode {
    let defaults = Defaults {
        data: "mnist",
        picture: Some("bn-mnist.png"),
    };
    common::run(defaults, mnist)
}

fn mnist(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    let is_csv = history_is_csv(&args.history)?;
    output::check_writable(&args.history)?;
    let (train, test) = args.common.load()?;
    let mut network = build(args, &train)?;
    writeln!(
        out,
        "{}: {} images to train on, {} to test on; {} threads\n\
         Network {}: each hidden layer is Affine, BatchNormalization, ReLU, Dropout {}; {} parameters\n\
         Adam, learning rate {} falling to 0 along a cosine, {} epochs of batches of {}, seed {}\n",
        args.common.data,
        train.len(),
        test.len(),
        batchnorm::tensor::threads(),
        sizes(args, &train),
        args.dropout,
        network.param_count(),
        args.lr,
        args.epochs,
        args.batch_size,
        args.common.seed
    )?;
    let history = fit(args, &mut network, &train, &test)?;
    let record = history.last().context("--epochs must be at least 1")?;
    // Of the network after the last epoch, whichever was the best on the test images.
    let confusion = network.confusion_matrix(test.images(), test.labels())?;
    let accuracy = confusion.accuracy();
    writeln!(out, "{confusion}")?;

    match is_csv {
        true => history.write_csv(&args.history)?,
        false => history.write_json(&args.history)?,
    }
    args.common.draw((1800, 900), |area| {
        let title = format!(
            "{}: {} of the test images",
            sizes(args, &train),
            percent(accuracy, 2)
        );
        draw(area, &title, args, &history, &confusion)
    })?;
    let mut figures = args.common.figures(start);
    figures["test_accuracy"] = json!(accuracy);
    figures["train_accuracy"] = json!(record.train_accuracy);
    figures["test_loss"] = json!(record.test_loss);
    figures["training_seconds"] = json!(record.seconds);
    figures["epochs"] = json!(args.epochs);
    figures["batch_size"] = json!(args.batch_size);
    figures["learning_rate"] = json!(args.lr);
    figures["dropout"] = json!(args.dropout);
    figures["hidden"] = json!(args.hidden);
    figures["confusion_matrix"] = confusion
        .counts()
        .outer_iter()
        .map(|row| json!(row.to_vec()))
        .collect();
    figures["history"] = json!(history.records);
    args.common.write_json(&figures)?;

    let memory = memory::peak_rss_bytes().map(|bytes| format!(", {} MiB at the peak", bytes >> 20));
    writeln!(
        out,
        "Test accuracy after epoch {}: {} in {:.1} s{}. History: {}.{}",
        args.epochs,
        percent(accuracy, 2),
        start.elapsed().as_secs_f64(),
        memory.unwrap_or_default(),
        args.history.display(),
        args.common.picture_note()
    )?;
    Ok(())
}

fn history_is_csv(path: &Path) -> Result<bool> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => Ok(true),
        Some("json") => Ok(false),
        _ => bail!(
            "cannot write {}: the history's name ends in .csv or .json",
            path.display()
        ),
    }
}

fn sizes(args: &Args, train: &Dataset) -> String {
    let hidden = args.hidden.iter().map(|size| format!("-{size}"));
    let hidden: String = hidden.collect();
    format!("{}{hidden}-{}", train.images().ncols(), train.classes())
}

fn build(args: &Args, train: &Dataset) -> Result<Network> {
    let mut builder = Network::builder(train.images().ncols());
    for &size in &args.hidden {
        // BatchNormalization's beta does what a bias would.
        builder = builder
            .affine_without_bias(size)
            .batch_norm()
            .relu()
            .dropout(args.dropout);
    }
    Ok(builder.affine(train.classes()).build(args.common.seed)?)
}

fn fit(args: &Args, network: &mut Network, train: &Dataset, test: &Dataset) -> Result<History> {
    let per_epoch = (train.len() / args.batch_size.max(1)).max(1) as u64;
    let schedule = Schedule::Cosine {
        lr: args.lr,
        steps: args.epochs.saturating_mul(per_epoch).max(1),
        min_lr: 0.0,
    };
    let trainer = Trainer::new(args.batch_size)
        .epochs(args.epochs)
        .seed(args.common.seed)
        .schedule(schedule);
    let (mut loss, mut adam) = (SoftmaxWithLoss::new(), Adam::pytorch(args.lr)?);
    Ok(trainer.fit(network, &mut loss, &mut adam, train, Some(test))?)
}

fn draw(
    area: &Area<'_>,
    title: &str,
    args: &Args,
    history: &History,
    confusion: &ConfusionMatrix,
) -> Result<()> {
    let subtitle = format!(
        "{}, Batch Normalization before each ReLU, Adam {}, seed {}",
        args.common.data, args.lr, args.common.seed
    );
    let body = heading(area, title, &subtitle)?;
    let (curves, matrix) = body.split_horizontally(960);
    let points = |accuracy: fn(&batchnorm::net::Record) -> f64| -> Vec<(f64, f64)> {
        history
            .records
            .iter()
            .map(|r| (r.epoch, accuracy(r)))
            .collect()
    };
    let lines = vec![
        Line {
            name: "training images",
            points: points(|r| r.train_accuracy),
            color: ORANGE,
            dashed: true,
        },
        Line {
            name: "test images",
            points: points(|r| r.test_accuracy.unwrap_or(f64::NAN)),
            color: BLUE,
            dashed: false,
        },
    ];
    let all = lines.iter().flat_map(|line| &line.points);
    let lowest = all.fold(1.0f64, |lowest, &(_, accuracy)| lowest.min(accuracy));
    let chart = LineChart {
        title: "Accuracy",
        x: Axis {
            name: "epoch",
            range: 1.0..history.records.len().max(2) as f64,
            ticks: 8,
            format: &|epoch| epoch.to_string(),
        },
        y: Axis {
            name: "accuracy",
            range: (lowest * 100.0 - 0.5).floor().max(0.0) / 100.0..1.0,
            ticks: 8,
            format: &|accuracy| percent(*accuracy, 1),
        },
        lines,
        legend: Some(SeriesLabelPosition::LowerRight),
        font_size: 28,
    };
    chart.draw(&curves)?;
    confusion::draw(&matrix, confusion)
}
