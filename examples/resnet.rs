//! A residual network on MNIST, with shifted and rotated training images and an exponential moving
//! average of the weights: more than 99.6 % of the test images.

use anyhow::{Context, Result};
use batchnorm::data::Augmentation;
use batchnorm::{AdamW, Averaging, Schedule, SoftmaxWithLoss};
use bn_examples::args::{CommonArgs, Defaults};
use bn_examples::cnn::{self, Model};
use bn_examples::epochs::Epochs;
use bn_examples::mistakes::{self, Mistakes};
use bn_examples::style::{count, heading, percent, threads};
use bn_examples::{memory, output, values};
use clap::Parser;
use serde_json::json;
use std::{io::Write, path::PathBuf, process::ExitCode, time::Instant};

/// Train a residual network on MNIST, and draw the digits that it misclassifies
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Passes over the training set
    #[arg(long, default_value_t = 12, value_parser = values::times)]
    epochs: u64,
    /// Images per training step
    #[arg(long, default_value_t = 100, value_parser = values::batch_size)]
    batch_size: usize,
    /// AdamW's highest learning rate; it rises in the first 30 % of the steps and falls to nearly 0
    #[arg(long, default_value_t = 0.005, value_parser = values::learning_rate)]
    lr: f64,
    /// AdamW's weight decay
    #[arg(long, default_value_t = 0.02, value_parser = values::standard_deviation)]
    weight_decay: f64,
    /// Largest random shift of a training image along each axis, in pixels
    #[arg(long, default_value_t = 2, value_parser = values::size(0, 27))]
    shift: usize,
    /// Largest random rotation of a training image, in degrees
    #[arg(long, default_value_t = 10.0, value_parser = values::angle)]
    rotation: f64,
    /// Share of the past in the moving average of the weights, which is evaluated [default: 1 − 1/n
    /// for n steps in an epoch]
    #[arg(long, value_parser = values::decay)]
    ema_decay: Option<f64>,
    /// Write the run to this file after each epoch, and continue from it if it exists; Ctrl-C writes
    /// it first
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Write the trained network to this file, which the example gan_quality reads
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}

fn main() -> ExitCode {
    let defaults = Defaults {
        data: "mnist",
        picture: Some("bn-resnet.png"),
    };
    bn_examples::run(defaults, resnet)
}

fn resnet(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    let files = [&args.checkpoint, &args.save].into_iter().flatten();
    args.common
        .check_outputs(&files.map(PathBuf::as_path).collect::<Vec<_>>())?;
    let (train, test) = args.common.load()?;
    let side = train.images().ncols().isqrt();
    let mut network = Model::Resnet.network(side, train.classes(), 0.0, args.common.seed)?;
    let epochs = Epochs {
        name: "",
        count: args.epochs,
        batch_size: args.batch_size,
        seed: args.common.seed,
        quiet_seconds: 0.0,
        checkpoint: args.checkpoint.as_deref(),
    };
    let per_epoch = epochs.steps(&train) as f64 / args.epochs as f64;
    let ema_decay = args.ema_decay.unwrap_or(1.0 - 1.0 / per_epoch.max(1.0));
    writeln!(
        out,
        "{}: {} training images, {} test images; {}\n\
         {}; {} parameters\n\
         Training images are shifted by up to {} and rotated by up to {}°.\n\
         AdamW, weight decay {}, one cycle of the learning rate up to {}; moving average of the weights ({});\n\
         {} in batches of {}; seed {}\n",
        args.common.data.title(),
        train.len(),
        test.len(),
        threads(),
        Model::Resnet.describe(0.0),
        network.param_count(),
        count(args.shift as u64, "pixel"),
        args.rotation,
        args.weight_decay,
        args.lr,
        format_args!("{ema_decay:.4}"),
        count(args.epochs, "epoch"),
        args.batch_size,
        args.common.seed
    )?;
    let augmentation = Augmentation::default()
        .with_shift(args.shift)
        .with_rotation(args.rotation);
    let trainer = epochs
        .trainer()
        .augment(augmentation)
        .average(Averaging::Exponential { decay: ema_decay })
        .evaluate_train(false)
        .schedule(Schedule::OneCycle {
            max_lr: args.lr,
            steps: epochs.steps(&train),
        });
    let (mut loss, mut adam) = (
        SoftmaxWithLoss::new(),
        AdamW::new(args.lr, args.weight_decay)?,
    );
    let (history, trained) =
        epochs.fit(&trainer, &mut network, &mut loss, &mut adam, &train, &test);
    trained?;
    let record = history.last().context("there was no epoch")?;
    let accuracy = network.accuracy(test.images(), test.labels())?;
    writeln!(
        out,
        "\nTest accuracy after {}: {} in {:.1} s{}.",
        count(args.epochs, "epoch"),
        percent(accuracy, 2),
        record.seconds,
        memory::note()
    )?;

    let mut results = args.common.results(start);
    results["test_accuracy"] = json!(accuracy);
    results["test_loss"] = json!(record.test_loss);
    results["training_seconds"] = json!(record.seconds);
    results["epochs"] = json!(args.epochs);
    results["batch_size"] = json!(args.batch_size);
    results["learning_rate"] = json!(args.lr);
    results["weight_decay"] = json!(args.weight_decay);
    results["shift"] = json!(args.shift);
    results["rotation"] = json!(args.rotation);
    results["ema_decay"] = json!(ema_decay);
    results["parameters"] = json!(network.param_count());
    results["history"] = json!(history.records);
    if let Some(path) = &args.save {
        cnn::save(path, &network)?;
        output::announce("Network", path)?;
    }
    let mistakes = Mistakes::of(&mut network, &test)?;
    args.common.write(&results, (1800, 1000), |area| {
        let title = format!(
            "{} of {} test images classified correctly",
            test.len() - mistakes.labels.len(),
            test.len()
        );
        let subtitle = format!(
            "{}, {}, shifts of {} and rotations of {}°, {}, seed {}",
            args.common.data.title(),
            Model::Resnet.title(),
            count(args.shift as u64, "pixel"),
            args.rotation,
            count(args.epochs, "epoch"),
            args.common.seed
        );
        let (chart, gallery) = heading(area, &title, &subtitle)?.split_horizontally(860);
        mistakes::draw_errors(&chart, &history)?;
        mistakes.draw(&gallery)
    })
}
