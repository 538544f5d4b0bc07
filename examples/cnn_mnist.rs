//! A convolutional network with Batch Normalization on MNIST: more than 99 % of the test images in
//! a few minutes.

use anyhow::{Context, Result};
use bn_examples::args::{CommonArgs, Defaults};
use bn_examples::cnn::{self, Model};
use bn_examples::epochs::Epochs;
use bn_examples::mistakes::{self, Mistakes};
use bn_examples::style::{count, heading, percent, threads};
use bn_examples::{memory, output, values};
use clap::Parser;
use serde_json::json;
use std::{io::Write, path::PathBuf, process::ExitCode, time::Instant};

/// Train a convolutional network with Batch Normalization on MNIST, and draw the digits that it
/// misclassifies
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Network to train
    #[arg(long, value_enum, default_value_t = Model::Conv)]
    model: Model,
    /// Passes over the training set
    #[arg(long, default_value_t = 8, value_parser = values::times)]
    epochs: u64,
    /// Images per training step
    #[arg(long, default_value_t = 100, value_parser = values::batch_size)]
    batch_size: usize,
    /// Adam's learning rate at the start; it falls to 0 along a cosine
    #[arg(long, default_value_t = 0.002, value_parser = values::learning_rate)]
    lr: f64,
    /// Fraction of the hidden values that Dropout sets to 0 in training; the residual network has none
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
    let classes = train.classes();
    let mut network = args
        .model
        .network(side, classes, args.dropout, args.common.seed)?;
    writeln!(
        out,
        "{}: {} training images, {} test images; {}\n\
         {}; {} parameters\n\
         Adam, learning rate {} falling to 0 along a cosine; {} in batches of {}; seed {}\n",
        args.common.data.title(),
        train.len(),
        test.len(),
        threads(),
        args.model.describe(args.dropout),
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
    results["model"] = json!(format!("{:?}", args.model).to_lowercase());
    results["parameters"] = json!(network.param_count());
    results["history"] = json!(history.records);
    let saved =
        cnn::save(&args.save, &network).and_then(|()| output::announce("Network", &args.save));
    let mistakes = Mistakes::of(&mut network, &test)?;
    args.common.write(&results, (1800, 1000), |area| {
        let title = format!(
            "{} of {} test images classified correctly",
            test.len() - mistakes.labels.len(),
            test.len()
        );
        let subtitle = format!(
            "{}, {}, Adam {}, {}, seed {}",
            args.common.data.title(),
            args.model.title(),
            args.lr,
            count(args.epochs, "epoch"),
            args.common.seed
        );
        let body = heading(area, &title, &subtitle)?;
        let (chart, gallery) = body.split_horizontally(860);
        mistakes::draw_errors(&chart, &history)?;
        mistakes.draw(&gallery)
    })?;
    saved
}
