//! A convolutional network with Batch Normalization on MNIST: more than 99 % of the test images in
//! a few minutes.

use anyhow::{Context, Result};
use batchnorm::net::History;
use batchnorm::{Network, data::Dataset};
use bn_examples::args::{CommonArgs, Defaults};
use bn_examples::epochs::{self, Epochs};
use bn_examples::line_chart::{Axis, LineChart};
use bn_examples::picture::Area;
use bn_examples::style::{count, font, heading, percent, threads};
use bn_examples::{cnn, images, memory, output, values};
use clap::Parser;
use ndarray::{Array2, Axis as ArrayAxis};
use plotters::chart::SeriesLabelPosition;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde_json::json;
use std::{io::Write, path::PathBuf, process::ExitCode, time::Instant};

/// Train a convolutional network with Batch Normalization on MNIST, and draw the digits that it
/// misclassifies
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Passes over the training set
    #[arg(long, default_value_t = 8, value_parser = values::times)]
    epochs: u64,
    /// Images per training step
    #[arg(long, default_value_t = 100, value_parser = values::batch_size)]
    batch_size: usize,
    /// Adam's learning rate at the start; it falls to 0 along a cosine
    #[arg(long, default_value_t = 0.002, value_parser = values::learning_rate)]
    lr: f64,
    /// Fraction of the hidden values that Dropout sets to 0 in training
    #[arg(long, default_value_t = 0.3, value_parser = values::dropout_ratio)]
    dropout: f64,
    /// Write the trained network to this file, which the example gan_quality reads
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
    bn_examples::run(defaults, cnn_mnist)
}

fn cnn_mnist(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    args.common.check_outputs(&[&args.save])?;
    let (train, test) = args.common.load()?;
    let side = train.images().ncols().isqrt();
    let mut network = cnn::network(side, train.classes(), args.dropout, args.common.seed)?;
    writeln!(
        out,
        "{}: {} training images, {} test images; {}\n\
         Four 3×3 convolutions (32, 32 with stride 2, 64, 64 with stride 2) and a hidden layer of 128,\n\
         each with BatchNormalization and ReLU; Dropout ({}) before the last layer; {} parameters\n\
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
    };
    let (history, trained) = epochs.train_with_adam(args.lr, &mut network, &train, &test);
    trained?;
    let record = history.last().context("there was no epoch")?;
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
    results["parameters"] = json!(network.param_count());
    results["history"] = json!(history.records);
    let saved = cnn::save(&args.save, &network, &args.common.data.to_string())
        .and_then(|()| output::announce("Network", &args.save));
    let mistakes = Mistakes::of(&mut network, &test)?;
    args.common.write(&results, (1800, 1000), |area| {
        let title = format!(
            "{} of {} test images classified correctly",
            test.len() - mistakes.labels.len(),
            test.len()
        );
        let subtitle = format!(
            "{}, four convolutions with Batch Normalization, Adam {}, {}, seed {}",
            args.common.data.title(),
            args.lr,
            count(args.epochs, "epoch"),
            args.common.seed
        );
        let body = heading(area, &title, &subtitle)?;
        let (chart, gallery) = body.split_horizontally(860);
        draw_errors(&chart, &history)?;
        mistakes.draw(&gallery)
    })?;
    saved
}

fn draw_errors(area: &Area<'_>, history: &History) -> Result<()> {
    let lines = epochs::lines(history, |accuracy| 1.0 - accuracy);
    let all = lines.iter().flat_map(|line| &line.points);
    let highest = all.fold(0.01f64, |highest, &(_, error)| highest.max(error));
    let chart = LineChart {
        title: "Misclassified images after each epoch",
        x: epochs::axis(history),
        y: Axis {
            name: "misclassified",
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

/// The misclassified test images.
struct Mistakes {
    images: Array2<f32>, // (n, pixels), from −1 to 1
    /// The label and the prediction of each.
    labels: Vec<(usize, usize)>,
}

impl Mistakes {
    fn of(network: &mut Network, test: &Dataset) -> Result<Self> {
        let best = cnn::Predictions::new(network, test.images())?.best();
        let wrong: Vec<usize> = (0..test.len())
            .filter(|&i| best[i].0 != test.labels()[i])
            .collect();
        let images = test.images().select(ArrayAxis(0), &wrong);
        Ok(Self {
            images: images.mapv_into(|v| 2.0 * v - 1.0),
            labels: wrong
                .iter()
                .map(|&i| (test.labels()[i], best[i].0))
                .collect(),
        })
    }

    /// Draws as many as fit, each above its label and prediction.
    fn draw(&self, area: &Area<'_>) -> Result<()> {
        const COLUMNS: usize = 9;
        let (width, height) = area.dim_in_pixel();
        let cell = (width as i32 - 40) / COLUMNS as i32;
        let side = self.images.ncols().isqrt();
        let scale = ((cell - 24) as usize / side).max(1);
        let centered = |size| font(size).pos(Pos::new(HPos::Center, VPos::Center));
        let middle = width as i32 / 2;
        let title = "Misclassified test images: label → prediction";
        area.draw_text(title, &centered(33), (middle, 34))?;
        let row = images::extent(1, side, scale) + 42;
        let fit = ((height as i32 - 90) / row) as usize * COLUMNS;
        for (i, (label, prediction)) in self.labels.iter().enumerate().take(fit) {
            let (x, y) = ((i % COLUMNS) as i32 * cell, 80 + (i / COLUMNS) as i32 * row);
            let image = self.images.slice_axis(ArrayAxis(0), (i..i + 1).into());
            images::draw(area, (x, y), image, 1, scale)?;
            let below = (x + images::extent(1, side, scale) / 2, y + row - 24);
            area.draw_text(&format!("{label} → {prediction}"), &centered(22), below)?;
        }
        Ok(())
    }
}
