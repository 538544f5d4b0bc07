//! Trains the same deep network with and without Batch Normalization, in a second.

use anyhow::{Context, Result};
use batchnorm::net::{History, Record, WeightInitStd};
use batchnorm::{MultiLayerNet, MultiLayerNetConfig, Sgd, data::Dataset};
use bn_examples::args::{CommonArgs, Defaults};
use bn_examples::epochs::{self, Epochs, test_accuracy};
use bn_examples::line_chart::{Axis, Line, LineChart};
use bn_examples::style::{BLUE, ORANGE, count, heading, percent};
use bn_examples::values;
use clap::Parser;
use plotters::chart::SeriesLabelPosition;
use serde_json::json;
use std::{io::Write, process::ExitCode, time::Instant};

/// Train the same deep network with and without Batch Normalization, and draw both curves
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Passes over the training set
    #[arg(long, default_value_t = 30, value_parser = values::times)]
    epochs: u64,
    /// Images per training step
    #[arg(long, default_value_t = 100, value_parser = values::batch_size)]
    batch_size: usize,
    /// Learning rate of both networks
    #[arg(long, default_value_t = 0.05, value_parser = values::learning_rate)]
    lr: f64,
    /// Standard deviation of the initial weights of both networks
    #[arg(long, default_value_t = 0.1, value_parser = values::standard_deviation)]
    weight_init_std: f64,
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}

fn main() -> ExitCode {
    let defaults = Defaults {
        data: "digits",
        picture: Some("bn-quickstart.png"),
    };
    bn_examples::run(defaults, quickstart)
}

fn quickstart(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    let (train, test) = args.common.load()?;
    writeln!(
        out,
        "{}: {} training images, {} test images\n\
         Both networks: {}-100-100-100-100-100-{} with ReLU, the same initial weights (standard\n\
         deviation {}), SGD with learning rate {}, {} of the same batches of {} (seed {}).\n\
         The difference: one network has BatchNormalization before each ReLU.\n",
        args.common.data.title(),
        train.len(),
        test.len(),
        train.images().ncols(),
        train.classes(),
        args.weight_init_std,
        args.lr,
        count(args.epochs, "epoch"),
        args.batch_size,
        args.common.seed
    )?;
    let with = train_one(args, true, &train, &test)?;
    let without = train_one(args, false, &train, &test)?;
    write_table(&mut out, &with, &without)?;

    let last = |history: &History| history.last().map(test_accuracy);
    let (end_with, end_without) = last(&with)
        .zip(last(&without))
        .context("there was no epoch")?;
    let mut records = with.records.iter();
    if let Some(record) = records.find(|r| test_accuracy(r) >= end_without) {
        writeln!(
            out,
            "The network with BatchNormalization reached {} in epoch {}.",
            percent(end_without, 1),
            record.epoch
        )?;
    }
    writeln!(
        out,
        "Test accuracy: {} with BatchNormalization, {} without.",
        percent(end_with, 1),
        percent(end_without, 1)
    )?;

    let mut results = args.common.results(start);
    results["epochs"] = json!(args.epochs);
    results["batch_size"] = json!(args.batch_size);
    results["learning_rate"] = json!(args.lr);
    results["weight_init_std"] = json!(args.weight_init_std);
    results["batch_norm"] = json!({"test_accuracy": end_with, "history": with.records});
    results["plain"] = json!({"test_accuracy": end_without, "history": without.records});
    args.common.write(&results, (1800, 860), |area| {
        let title = "The same network with and without Batch Normalization";
        let subtitle = format!(
            "{}, five hidden layers of 100 with ReLU, initial weights of standard deviation {}, SGD {}",
            args.common.data.title(),
            args.weight_init_std,
            args.lr
        );
        let panels = heading(area, title, &subtitle)?.split_evenly((1, 2));
        loss_chart(&with, &without).draw(&panels[0])?;
        accuracy_chart(&with, &without).draw(&panels[1])
    })
}

/// Trains one of the two networks; they differ only in `use_batchnorm`.
fn train_one(args: &Args, use_batchnorm: bool, train: &Dataset, test: &Dataset) -> Result<History> {
    let config = MultiLayerNetConfig {
        weight_init_std: WeightInitStd::Std(args.weight_init_std),
        use_batchnorm,
        ..MultiLayerNetConfig::new(train.images().ncols(), &[100; 5], train.classes())
    };
    let mut network = MultiLayerNet::new(&config, args.common.seed)?;
    let epochs = Epochs {
        name: if use_batchnorm {
            "with BN, "
        } else {
            "without, "
        },
        count: args.epochs,
        batch_size: args.batch_size,
        seed: args.common.seed,
        quiet_seconds: 2.0,
        checkpoint: None,
    };
    let (network, mut sgd) = (network.network_mut(), Sgd::new(args.lr)?);
    let (history, trained) = epochs.train(network, &mut sgd, None, train, test);
    trained.map(|()| history)
}

/// About ten of the epochs, including the last one.
fn write_table(out: &mut dyn Write, with: &History, without: &History) -> Result<()> {
    writeln!(out, "            training loss        test accuracy")?;
    writeln!(out, "epoch    with BN   without     with BN   without")?;
    let epochs = with.records.len();
    let rows = with.records.iter().zip(&without.records).enumerate();
    for (i, (a, b)) in rows.filter(|(i, _)| (epochs - 1 - i).is_multiple_of(epochs.div_ceil(10))) {
        writeln!(
            out,
            "{:>5} {:>10.4} {:>9.4} {:>11} {:>9}",
            i + 1,
            a.train_loss,
            b.train_loss,
            percent(test_accuracy(a), 1),
            percent(test_accuracy(b), 1)
        )?;
    }
    writeln!(out)?;
    Ok(())
}

fn loss_chart(with: &History, without: &History) -> LineChart<'static> {
    let lines = lines(with, without, |r| r.train_loss);
    let losses = lines.iter().flat_map(|line| &line.points);
    let highest = losses.fold(0.0, |highest, &(_, loss)| loss.max(highest));
    LineChart {
        title: "Training loss",
        x: epochs::axis(with),
        y: Axis {
            name: "loss",
            range: 0.0..1.05 * highest,
            ticks: 6,
            format: &|loss| format!("{loss:.1}"),
        },
        lines,
        legend: Some(SeriesLabelPosition::UpperRight),
        font_size: 28,
    }
}

fn accuracy_chart(with: &History, without: &History) -> LineChart<'static> {
    LineChart {
        title: "Test accuracy",
        x: epochs::axis(with),
        y: Axis {
            name: "accuracy",
            range: 0.0..1.0,
            ticks: 6,
            format: &|accuracy| percent(*accuracy, 0),
        },
        lines: lines(with, without, test_accuracy),
        legend: Some(SeriesLabelPosition::LowerRight),
        font_size: 28,
    }
}

fn lines(with: &History, without: &History, y: fn(&Record) -> f64) -> Vec<Line<'static>> {
    let line = |name, history: &History, color, dashed| Line {
        name,
        points: history.records.iter().map(|r| (r.epoch, y(r))).collect(),
        color,
        dashed,
    };
    vec![
        line("with BatchNormalization", with, BLUE, false),
        line("without", without, ORANGE, true),
    ]
}
