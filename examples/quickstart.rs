//! What Batch Normalization does for training, in a second: the same deep network with and without
//! it.

mod common;

use anyhow::{Context, Result};
use batchnorm::net::{History, Record, WeightInitStd};
use batchnorm::{MultiLayerNet, MultiLayerNetConfig, Sgd, SoftmaxWithLoss, Trainer, data::Dataset};
use clap::Parser;
use common::args::{CommonArgs, Defaults};
use common::line_chart::{Axis, Line, LineChart};
use common::style::{BLUE, ORANGE, heading, percent};
use plotters::chart::SeriesLabelPosition;
use serde_json::json;
use std::{io::Write, process::ExitCode, time::Instant};

/// Train the same deep network with and without Batch Normalization, and draw both
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Times through the training set
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    epochs: u64,
    /// Images of a step
    #[arg(long, default_value_t = 100)]
    batch_size: usize,
    /// Learning rate of both networks
    #[arg(long, default_value_t = 0.05)]
    lr: f64,
    /// Standard deviation of the first weights of both networks
    #[arg(long, default_value_t = 0.1)]
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
    common::run(defaults, quickstart)
}

fn quickstart(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    let (train, test) = args.common.load()?;
    writeln!(
        out,
        "{}: {} images to train on, {} to test on\n\
         Held equal: the network {}-100-100-100-100-100-{} with ReLU, its first weights (standard\n\
         deviation {}), SGD with learning rate {}, {} epochs of batches of {}, their order (seed {}).\n\
         Different: one network has BatchNormalization before each ReLU.\n",
        args.common.data,
        train.len(),
        test.len(),
        train.images().ncols(),
        train.classes(),
        args.weight_init_std,
        args.lr,
        args.epochs,
        args.batch_size,
        args.common.seed
    )?;
    let with = train_one(args, true, &train, &test)?;
    let without = train_one(args, false, &train, &test)?;
    write_table(&mut out, &with, &without)?;

    let last = |history: &History| history.last().map(test_accuracy);
    let (end_with, end_without) = last(&with)
        .zip(last(&without))
        .context("--epochs must be at least 1")?;
    args.common.draw((1800, 860), |area| {
        let subtitle = format!(
            "{}, five hidden layers of 100 with ReLU, weight_init_std {}, SGD {}",
            args.common.data, args.weight_init_std, args.lr
        );
        let panels = heading(
            area,
            "The same network with and without Batch Normalization",
            &subtitle,
        )?
        .split_evenly((1, 2));
        loss_chart(&with, &without).draw(&panels[0])?;
        accuracy_chart(&with, &without).draw(&panels[1])
    })?;
    let mut figures = args.common.figures(start);
    figures["epochs"] = json!(args.epochs);
    figures["batch_size"] = json!(args.batch_size);
    figures["learning_rate"] = json!(args.lr);
    figures["weight_init_std"] = json!(args.weight_init_std);
    figures["batch_norm"] = json!({"test_accuracy": end_with, "history": with.records});
    figures["plain"] = json!({"test_accuracy": end_without, "history": without.records});
    args.common.write_json(&figures)?;

    if let Some(record) = with
        .records
        .iter()
        .find(|r| test_accuracy(r) >= end_without)
    {
        let (accuracy, epoch) = (percent(end_without, 1), record.epoch);
        writeln!(
            out,
            "With BatchNormalization, {accuracy} was passed in epoch {epoch}."
        )?;
    }
    writeln!(
        out,
        "Test accuracy: {} with BatchNormalization, {} without.{}",
        percent(end_with, 1),
        percent(end_without, 1),
        args.common.picture_note()
    )?;
    Ok(())
}

/// Trains one of the two networks; all but `use_batchnorm` is the same for both.
fn train_one(args: &Args, use_batchnorm: bool, train: &Dataset, test: &Dataset) -> Result<History> {
    let config = MultiLayerNetConfig {
        weight_init_std: WeightInitStd::Std(args.weight_init_std),
        use_batchnorm,
        ..MultiLayerNetConfig::new(train.images().ncols(), &[100; 5], train.classes())
    };
    let mut network = MultiLayerNet::new(&config, args.common.seed)?;
    let history = Trainer::new(args.batch_size)
        .epochs(args.epochs)
        .seed(args.common.seed)
        .fit(
            network.network_mut(),
            &mut SoftmaxWithLoss::new(),
            &mut Sgd::new(args.lr)?,
            train,
            Some(test),
        )?;
    Ok(history)
}

fn test_accuracy(record: &Record) -> f64 {
    record.test_accuracy.unwrap_or(f64::NAN)
}

/// About ten of the epochs, the last among them.
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
        x: epochs(with),
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
        x: epochs(with),
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

fn epochs(history: &History) -> Axis<'static> {
    Axis {
        name: "epoch",
        range: 1.0..history.records.len().max(2) as f64,
        ticks: 8,
        format: &|epoch| epoch.to_string(),
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
