//! Layers of one's own: an activation of ten lines and the Layer Normalization of the documentation.
//! Their gradients are checked, and a network of them is trained next to one with Batch Normalization.

// Formatted as in the documentation, where it is as short as possible.
#[allow(elided_lifetimes_in_paths, missing_debug_implementations, unreachable_pub)]
#[path = "../crates/bn-layers/docs/layer_norm.rs"]
#[rustfmt::skip]
mod layer_norm;

use anyhow::{Context, Result, ensure};
use batchnorm::layers::Report;
use batchnorm::net::History;
use batchnorm::{Activation, GradientCheck, Network, NetworkBuilder, Scalar, data::Dataset};
use bn_examples::args::{CommonArgs, Defaults};
use bn_examples::epochs::{self, Epochs, test_accuracy};
use bn_examples::line_chart::{Axis, Line, LineChart};
use bn_examples::style::{BLUE, GREEN, ORANGE, count, heading, percent};
use bn_examples::values;
use clap::Parser;
use layer_norm::LayerNorm;
use plotters::chart::SeriesLabelPosition;
use serde_json::json;
use std::{io::Write, process::ExitCode, time::Instant};

/// `y = x·tanh(softplus(x))` (Mish, arXiv:1908.08681).
#[derive(Debug, Clone)]
struct Mish;

impl Activation for Mish {
    fn value<T: Scalar>(&self, x: T) -> T {
        x * softplus(x).tanh()
    }

    fn derivative<T: Scalar>(&self, x: T, _: T) -> T {
        let tanh = softplus(x).tanh();
        let sigmoid = T::one() / (T::one() + (-x).exp()); // the derivative of softplus
        tanh + x * (T::one() - tanh * tanh) * sigmoid
    }
}

/// `log(1 + exp(x))`, written so that `exp` does not overflow.
fn softplus<T: Scalar>(x: T) -> T {
    x.max(T::zero()) + (-x.abs()).exp().ln_1p()
}

/// Check the gradients of two layers of one's own, and train networks with and without them
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
    #[arg(long, default_value_t = 0.001, value_parser = values::learning_rate)]
    lr: f64,
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}

/// The largest relative difference that passes; central differences in f64 agree to about 1e-9.
const LIMIT: f64 = 1e-6;
/// The number of hidden layers and their size.
const HIDDEN: (usize, usize) = (5, 50);

/// What stands between the affine layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hidden {
    /// LayerNorm and Mish, the layers of this program.
    Own,
    /// BatchNormalization and ReLU.
    BatchNorm,
    /// ReLU alone.
    Plain,
}

impl Hidden {
    const ALL: [Self; 3] = [Self::Own, Self::BatchNorm, Self::Plain];

    fn name(self) -> &'static str {
        match self {
            Self::Own => "own LayerNorm and Mish",
            Self::BatchNorm => "BatchNormalization and ReLU",
            Self::Plain => "ReLU alone",
        }
    }

    /// A network whose hidden layers are of this kind.
    fn network<T: Scalar>(self, inputs: usize, classes: usize, seed: u64) -> Result<Network<T>> {
        let mut builder = NetworkBuilder::<T>::new(inputs);
        let (layers, size) = HIDDEN;
        for _ in 0..layers {
            builder = builder.affine(size);
            builder = match self {
                Self::Own => builder
                    .layer("layer_norm", LayerNorm::new(size))
                    .layer("mish", Mish),
                Self::BatchNorm => builder.batch_norm().relu(),
                Self::Plain => builder.relu(),
            };
        }
        Ok(builder.affine(classes).build(seed)?)
    }
}

fn main() -> ExitCode {
    let defaults = Defaults {
        data: "digits",
        picture: Some("bn-custom-layer.png"),
    };
    bn_examples::run(defaults, custom_layer)
}

fn custom_layer(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    let (train, test) = args.common.load()?;
    let report = check_gradients(args, &train)?;
    let worst = report.worst();
    writeln!(
        out,
        "Gradients of a network with both layers, compared with central differences:\n\n{report}"
    )?;
    // Not `worst.relative > LIMIT`: NaN has to fail.
    ensure!(
        worst.relative <= LIMIT,
        "the gradient of {} has a relative difference of {:.1e}; up to {LIMIT:.0e} is accepted",
        worst.name,
        worst.relative
    );
    writeln!(
        out,
        "The largest relative difference is {:.1e}; up to {LIMIT:.0e} is accepted.\n",
        worst.relative
    )?;

    let mut histories = Vec::new();
    for hidden in Hidden::ALL {
        let history = train_one(args, hidden, &train, &test)?;
        let last = history.last().context("there was no epoch")?;
        let accuracy = percent(test_accuracy(last), 1);
        writeln!(out, "Test accuracy with {}: {accuracy}", hidden.name())?;
        histories.push(history);
    }

    let mut results = args.common.results(start);
    results["epochs"] = json!(args.epochs);
    results["batch_size"] = json!(args.batch_size);
    results["learning_rate"] = json!(args.lr);
    results["worst_relative_difference"] = json!(worst.relative);
    let parameters = report.params.iter();
    results["checked"] = parameters.map(|p| json!([p.name, p.relative])).collect();
    for (hidden, history) in ["own", "batch_norm", "plain"].iter().zip(&histories) {
        let accuracy = history.last().map(test_accuracy);
        results[*hidden] = json!({"test_accuracy": accuracy, "history": history.records});
    }
    args.common.write(&results, (1500, 900), |area| {
        let title = "A network with layers of one's own";
        let subtitle = format!(
            "{}, {} hidden layers of {}, Adam {}, {}, seed {}",
            args.common.data.title(),
            HIDDEN.0,
            HIDDEN.1,
            args.lr,
            count(args.epochs, "epoch"),
            args.common.seed
        );
        chart(&histories).draw(&heading(area, title, &subtitle)?)
    })
}

/// Compares the gradients of every parameter and of the images with central differences, in f64.
fn check_gradients(args: &Args, train: &Dataset) -> Result<Report> {
    let batch = train.shuffled(args.common.seed).take(6).to::<f64>();
    let inputs = batch.images().ncols();
    let mut network = Hidden::Own.network::<f64>(inputs, batch.classes(), args.common.seed)?;
    let check = GradientCheck {
        entries: 200,
        tolerance: LIMIT,
        ..GradientCheck::default()
    };
    Ok(check.check(&mut network, batch.images())?)
}

fn train_one(args: &Args, hidden: Hidden, train: &Dataset, test: &Dataset) -> Result<History> {
    let (inputs, classes) = (train.images().ncols(), train.classes());
    let mut network = hidden.network(inputs, classes, args.common.seed)?;
    let name = format!("{}, ", hidden.name());
    let epochs = Epochs {
        name: &name,
        count: args.epochs,
        batch_size: args.batch_size,
        seed: args.common.seed,
        quiet_seconds: 2.0,
        checkpoint: None,
    };
    let (history, trained) = epochs.train_with_adam(args.lr, &mut network, train, test);
    trained?;
    Ok(history)
}

fn chart(histories: &[History]) -> LineChart<'_> {
    let colors = [(GREEN, false), (BLUE, false), (ORANGE, true)];
    let lines = Hidden::ALL.iter().zip(colors).zip(histories);
    let lines = lines.map(|((hidden, (color, dashed)), history)| Line {
        name: hidden.name(),
        points: history
            .records
            .iter()
            .map(|r| (r.epoch, test_accuracy(r)))
            .collect(),
        color,
        dashed,
    });
    LineChart {
        title: "Test accuracy after each epoch",
        x: epochs::axis(&histories[0]),
        y: Axis {
            name: "accuracy",
            range: 0.0..1.0,
            ticks: 6,
            format: &|accuracy| percent(*accuracy, 0),
        },
        lines: lines.collect(),
        legend: Some(SeriesLabelPosition::LowerRight),
        font_size: 28,
    }
}
