//! The book's deep network with Batch Normalization on MNIST: five hidden layers of 100, more than
//! 98 % of the test images in less than a minute.

use anyhow::{Context, Result, bail};
use batchnorm::net::{ConfusionMatrix, History};
use batchnorm::{Network, data::Dataset};
use bn_examples::args::{CommonArgs, Defaults};
use bn_examples::epochs::{self, Epochs};
use bn_examples::line_chart::{Axis, LineChart};
use bn_examples::picture::Area;
use bn_examples::style::{count, heading, percent, threads};
use bn_examples::{confusion, interrupt, memory, output, values};
use clap::Parser;
use plotters::chart::SeriesLabelPosition;
use serde_json::json;
use std::{io::Write, path::Path, path::PathBuf, process::ExitCode, time::Instant};

/// Train a deep network with Batch Normalization on MNIST
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Passes over the training set
    #[arg(long, default_value_t = 20, value_parser = values::times)]
    epochs: u64,
    /// Images per training step
    #[arg(long, default_value_t = 100, value_parser = values::batch_size)]
    batch_size: usize,
    /// Adam's learning rate at the start; it falls to 0 along a cosine
    #[arg(long, default_value_t = 0.003, value_parser = values::learning_rate)]
    lr: f64,
    /// Fraction of the hidden values that Dropout sets to 0 in training
    #[arg(long, default_value_t = 0.05, value_parser = values::dropout_ratio)]
    dropout: f64,
    /// Sizes of the hidden layers, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "100,100,100,100,100",
          value_parser = values::size(1, 10_000))]
    hidden: Vec<usize>,
    /// Write the evaluation after each epoch to this file, whose name ends in .csv or .json
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
    bn_examples::run(defaults, mnist)
}

fn mnist(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    check_history_name(&args.history)?;
    args.common.check_outputs(&[&args.history])?;
    let (train, test) = args.common.load()?;
    let mut network = build(args, &train)?;
    let sizes = sizes(args, &train);
    writeln!(
        out,
        "{}: {} training images, {} test images; {}\n\
         Network {sizes}: each hidden layer is Affine, BatchNormalization, ReLU and Dropout ({}); {} parameters\n\
         Adam, learning rate {} falling to 0 along a cosine; {} in batches of {}; seed {}\n",
        args.common.data.title(),
        train.len(),
        test.len(),
        threads(),
        args.dropout,
        network.param_count(),
        args.lr,
        count(args.epochs, "epoch"),
        args.batch_size,
        args.common.seed
    )?;
    let epochs = Epochs {
        name: "",
        count: args.epochs,
        batch_size: args.batch_size,
        seed: args.common.seed,
        quiet_seconds: 0.0,
        checkpoint: None,
    };
    let (history, trained) = epochs.train_with_adam(args.lr, &mut network, &train, &test);
    if let Err(error) = trained {
        // What was recorded before the failure is kept.
        if !history.records.is_empty() {
            write_history(&args.history, &history)?;
        }
        return Err(error);
    }
    let record = history.last().context("there was no epoch")?;
    // Of the network after the last epoch, even if an earlier one was better on the test images.
    let confusion = network.confusion_matrix(test.images(), test.labels())?;
    let accuracy = confusion.accuracy();
    writeln!(
        out,
        "\n{confusion}\nTest accuracy after {}: {} in {:.1} s{}.",
        count(args.epochs, "epoch"),
        percent(accuracy, 2),
        start.elapsed().as_secs_f64(),
        memory::note()
    )?;

    let mut results = args.common.results(start);
    results["test_accuracy"] = json!(accuracy);
    results["train_accuracy"] = json!(record.train_accuracy());
    results["test_loss"] = json!(record.test_loss);
    results["training_seconds"] = json!(record.seconds);
    results["epochs"] = json!(args.epochs);
    results["batch_size"] = json!(args.batch_size);
    results["learning_rate"] = json!(args.lr);
    results["dropout"] = json!(args.dropout);
    results["hidden"] = json!(args.hidden);
    results["confusion_matrix"] = confusion
        .counts()
        .outer_iter()
        .map(|row| json!(row.to_vec()))
        .collect();
    results["history"] = json!(history.records);
    let history_written = write_history(&args.history, &history);
    args.common.write(&results, (1800, 900), |area| {
        let title = format!(
            "{} of the test images classified correctly",
            percent(accuracy, 2)
        );
        let subtitle = format!(
            "{}, network {sizes}, Batch Normalization before each ReLU, Adam {}, {}, seed {}",
            args.common.data.title(),
            args.lr,
            count(args.epochs, "epoch"),
            args.common.seed
        );
        draw(&heading(area, &title, &subtitle)?, &history, &confusion)
    })?;
    history_written
}

fn check_history_name(path: &Path) -> Result<()> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("csv" | "json") => Ok(()),
        _ => bail!(
            "cannot write {}: the name of the history must end in .csv or .json",
            path.display()
        ),
    }
}

fn write_history(path: &Path, history: &History) -> Result<()> {
    let held = interrupt::hold();
    let written = match path.extension().is_some_and(|ending| ending == "csv") {
        true => history.write_csv(path),
        false => history.write_json(path),
    };
    held.release();
    written?;
    output::announce("History", path)
}

/// As in `784-100-100-10`.
fn sizes(args: &Args, train: &Dataset) -> String {
    let hidden = args.hidden.iter().map(|size| format!("-{size}"));
    let hidden: String = hidden.collect();
    format!("{}{hidden}-{}", train.images().ncols(), train.classes())
}

fn build(args: &Args, train: &Dataset) -> Result<Network> {
    let mut builder = Network::builder(train.images().ncols());
    for &size in &args.hidden {
        // BatchNormalization's beta replaces a bias.
        builder = builder
            .affine_without_bias(size)
            .batch_norm()
            .relu()
            .dropout(args.dropout);
    }
    Ok(builder.affine(train.classes()).build(args.common.seed)?)
}

/// The accuracy after each epoch, and the confusion matrix.
fn draw(area: &Area<'_>, history: &History, confusion: &ConfusionMatrix) -> Result<()> {
    let (left, right) = area.split_horizontally(960);
    let lines = epochs::lines(history, |accuracy| accuracy);
    let all = lines.iter().flat_map(|line| &line.points);
    let lowest = all.fold(1.0f64, |lowest, &(_, accuracy)| lowest.min(accuracy));
    let chart = LineChart {
        title: "Accuracy after each epoch",
        x: epochs::axis(history),
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
    chart.draw(&left)?;
    confusion::draw(&right, confusion)
}
