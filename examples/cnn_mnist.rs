//! A convolutional network with Batch Normalization on all of MNIST: 99.2 % of the test images in
//! some minutes.

mod common;

use anyhow::{Context, Result};
use batchnorm::net::History;
use batchnorm::{Adam, Network, Schedule, SoftmaxWithLoss, Trainer, data::Dataset};
use clap::Parser;
use common::args::{CommonArgs, Defaults};
use common::line_chart::{Axis, Line, LineChart};
use common::picture::Area;
use common::style::{BLUE, ORANGE, font, heading, percent};
use common::{cnn, images, memory, output};
use ndarray::Array2;
use plotters::chart::SeriesLabelPosition;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde_json::json;
use std::{io::Write, path::PathBuf, process::ExitCode, time::Instant};

/// Train a convolutional network with Batch Normalization on MNIST, and look at what it gets wrong
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Times through the training set
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    epochs: u64,
    /// Images of a step
    #[arg(long, default_value_t = 100)]
    batch_size: usize,
    /// First learning rate of Adam, from where it falls to 0 along a cosine
    #[arg(long, default_value_t = 0.002)]
    lr: f64,
    /// Share of the hidden values that Dropout drops in training
    #[arg(long, default_value_t = 0.3)]
    dropout: f64,
    /// Where to write the trained network, for gan_quality
    #[arg(long, value_name = "FILE", default_value = "mnist-cnn.safetensors")]
    save: PathBuf,
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}

fn main() -> ExitCode {
    let defaults = Defaults {
        data: "mnist",
        picture: Some("bn-cnn-mnist.png"),
    };
    common::run(defaults, cnn_mnist)
}

fn cnn_mnist(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    output::check_writable(&args.save)?;
    let (train, test) = args.common.load()?;
    let side = train.images().ncols().isqrt();
    let mut network = cnn::network(side, train.classes(), args.dropout, args.common.seed)?;
    writeln!(
        out,
        "{}: {} images to train on, {} to test on; {} threads\n\
         Four convolutions of 3×3 (32, 32 with stride 2, 64, 64 with stride 2) and a hidden layer of 128,\n\
         each with BatchNormalization and ReLU; Dropout {} before the last layer; {} parameters\n\
         Adam, learning rate {} falling to 0 along a cosine, {} epochs of batches of {}, seed {}\n",
        args.common.data,
        train.len(),
        test.len(),
        batchnorm::tensor::threads(),
        args.dropout,
        network.param_count(),
        args.lr,
        args.epochs,
        args.batch_size,
        args.common.seed
    )?;
    let history = fit(args, &mut network, &train, &test)?;
    let record = history.last().context("--epochs must be at least 1")?;
    let confusion = network.confusion_matrix(test.images(), test.labels())?;
    let accuracy = confusion.accuracy();
    writeln!(out, "{confusion}")?;
    cnn::save(&args.save, &network, &args.common.data.to_string())?;

    let mistakes = Mistakes::of(&mut network, &test)?;
    args.common.draw((1800, 1000), |area| {
        let title = format!(
            "{} of {} test images told right",
            test.len() - mistakes.labels.len(),
            test.len()
        );
        let subtitle = format!(
            "{}, four convolutions with Batch Normalization, Adam {}, seed {}",
            args.common.data, args.lr, args.common.seed
        );
        let body = heading(area, &title, &subtitle)?;
        let (curves, gallery) = body.split_horizontally(860);
        draw_accuracy(&curves, &history)?;
        mistakes.draw(&gallery)
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
    figures["parameters"] = json!(network.param_count());
    figures["history"] = json!(history.records);
    args.common.write_json(&figures)?;

    let memory = memory::peak_rss_bytes().map(|bytes| format!(", {} MiB at the peak", bytes >> 20));
    writeln!(
        out,
        "Test accuracy after epoch {}: {} in {:.1} s{}. Network: {}.{}",
        args.epochs,
        percent(accuracy, 2),
        start.elapsed().as_secs_f64(),
        memory.unwrap_or_default(),
        args.save.display(),
        args.common.picture_note()
    )?;
    Ok(())
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

fn draw_accuracy(area: &Area<'_>, history: &History) -> Result<()> {
    let points = |error: fn(&batchnorm::net::Record) -> f64| -> Vec<(f64, f64)> {
        let records = history.records.iter();
        records.map(|r| (r.epoch, error(r))).collect()
    };
    let lines = vec![
        Line {
            name: "training images",
            points: points(|r| 1.0 - r.train_accuracy),
            color: ORANGE,
            dashed: true,
        },
        Line {
            name: "test images",
            points: points(|r| 1.0 - r.test_accuracy.unwrap_or(f64::NAN)),
            color: BLUE,
            dashed: false,
        },
    ];
    let all = lines.iter().flat_map(|line| &line.points);
    let highest = all.fold(0.01f64, |highest, &(_, error)| highest.max(error));
    let chart = LineChart {
        title: "Share told wrong",
        x: Axis {
            name: "epoch",
            range: 1.0..history.records.len().max(2) as f64,
            ticks: 8,
            format: &|epoch| epoch.to_string(),
        },
        y: Axis {
            name: "error",
            range: 0.0..1.05 * highest,
            ticks: 8,
            format: &|error| percent(*error, 1),
        },
        lines,
        legend: Some(SeriesLabelPosition::UpperRight),
        font_size: 28,
    };
    chart.draw(area)
}

/// The test images that were told wrong.
struct Mistakes {
    images: Array2<f32>, // (n, pixels), from −1 to 1
    /// What they are, and what they were taken for.
    labels: Vec<(usize, usize)>,
}

impl Mistakes {
    fn of(network: &mut Network, test: &Dataset) -> Result<Self> {
        let best = cnn::Judged::new(network, test.images())?.best();
        let wrong: Vec<usize> = (0..test.len())
            .filter(|&i| best[i].0 != test.labels()[i])
            .collect();
        let images = test.images().select(ndarray::Axis(0), &wrong);
        Ok(Self {
            images: images.mapv_into(|v| 2.0 * v - 1.0),
            labels: wrong
                .iter()
                .map(|&i| (test.labels()[i], best[i].0))
                .collect(),
        })
    }

    /// As many as fit, each with its label and what it was taken for.
    fn draw(&self, area: &Area<'_>) -> Result<()> {
        const COLUMNS: usize = 9;
        let (width, height) = area.dim_in_pixel();
        let cell = (width as i32 - 40) / COLUMNS as i32;
        let side = self.images.ncols().isqrt();
        let scale = ((cell - 24) as usize / side).max(1);
        let centered = |size| font(size).pos(Pos::new(HPos::Center, VPos::Center));
        let middle = width as i32 / 2;
        area.draw_text("Told wrong: label → taken for", &centered(33), (middle, 34))?;
        let row = images::extent(1, side, scale) + 42;
        let fit = ((height as i32 - 90) / row) as usize * COLUMNS;
        for (i, (label, taken)) in self.labels.iter().enumerate().take(fit) {
            let (x, y) = ((i % COLUMNS) as i32 * cell, 80 + (i / COLUMNS) as i32 * row);
            let image = self.images.slice_axis(ndarray::Axis(0), (i..i + 1).into());
            images::draw(area, (x, y), image, 1, scale)?;
            let below = (x + images::extent(1, side, scale) / 2, y + row - 24);
            area.draw_text(&format!("{label} → {taken}"), &centered(22), below)?;
        }
        Ok(())
    }
}
