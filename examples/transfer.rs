//! Transfer learning: a convolutional network learns the digits 0 to 4 from all their images. Its
//! convolutions are then frozen, and new layers after them learn the digits 5 to 9 from a few images,
//! next to the same network that starts from random weights. (Keras' example `mnist_transfer_cnn`,
//! with few images.)

use anyhow::Result;
use batchnorm::layers::Conv2dConfig;
use batchnorm::{
    Adam, Layer, Network, Schedule, SoftmaxWithLoss, State, StateMut, Trainer, data::Dataset,
};
use bn_examples::args::{CommonArgs, Defaults};
use bn_examples::epochs::Epochs;
use bn_examples::line_chart::{Axis, Line, LineChart};
use bn_examples::style::{BLUE, ORANGE, count, heading, percent};
use bn_examples::values;
use clap::Parser;
use plotters::chart::SeriesLabelPosition;
use serde_json::json;
use std::{collections::HashMap, io::Write, process::ExitCode, time::Instant};

/// Train on the digits 0 to 4, freeze the convolutions, and learn the digits 5 to 9 from a few images,
/// compared with training from scratch
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Passes over the images of the digits 0 to 4
    #[arg(long, default_value_t = 5, value_parser = values::times)]
    epochs: u64,
    /// Training images of each of the digits 5 to 9, separated by commas: a comparison for each
    #[arg(long, value_delimiter = ',', default_value = "1,2,5,10,20,50,100",
          value_parser = values::size(1, 10_000))]
    images: Vec<usize>,
    /// Training steps on these few images
    #[arg(long, default_value_t = 100, value_parser = values::times)]
    steps: u64,
    /// Choices of the few images, over which the accuracies are averaged
    #[arg(long, default_value_t = 5, value_parser = values::times)]
    repeats: u64,
    /// Images per training step, if there are as many
    #[arg(long, default_value_t = 50, value_parser = values::batch_size)]
    batch_size: usize,
    /// Adam's learning rate at the start; it falls to 0 along a cosine
    #[arg(long, default_value_t = 0.005, value_parser = values::learning_rate)]
    lr: f64,
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}

/// The number of layers that are copied and frozen: two convolutions with Batch Normalization and ReLU.
const CONVOLUTIONS: usize = 6;
/// The number of classes of each of the two tasks.
const CLASSES: usize = 5;

fn main() -> ExitCode {
    let defaults = Defaults {
        data: "digits",
        picture: Some("bn-transfer.png"),
    };
    bn_examples::run(defaults, transfer)
}

fn transfer(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    let (train, test) = args.common.load()?;
    let (first_train, first_test) = (only(&train, 0)?, only(&test, 0)?);
    let (second_train, second_test) = (only(&train, CLASSES)?, only(&test, CLASSES)?);

    let mut pretrained = network(&first_train, args.common.seed)?;
    writeln!(
        out,
        "{}: {} training images of the classes 0 to 4\n{}\n",
        args.common.data.title(),
        first_train.len(),
        pretrained.summary()
    )?;
    let epochs = Epochs {
        name: "",
        count: args.epochs,
        batch_size: args.batch_size,
        seed: args.common.seed,
        quiet_seconds: 2.0,
        checkpoint: None,
    };
    let (_, trained) = epochs.train_with_adam(args.lr, &mut pretrained, &first_train, &first_test);
    trained?;
    let accuracy = pretrained.accuracy(first_test.images(), first_test.labels())?;
    writeln!(
        out,
        "Test accuracy on the classes 0 to 4: {}\n\n\
         The classes 5 to 9, {}, {} of training images:\n\
         images of each class   frozen convolutions   from scratch",
        percent(accuracy, 1),
        count(args.steps, "step"),
        count(args.repeats, "choice")
    )?;

    let mut rows = Vec::new(); // (images of each class, accuracy with frozen layers, from scratch)
    for &images in &args.images {
        let mut sums = [0.0; 2];
        for repeat in 0..args.repeats {
            let seed = args.common.seed.wrapping_add(repeat);
            let few = few_of_each(&second_train, images, seed)?;
            for (sum, is_transfer) in sums.iter_mut().zip([true, false]) {
                let mut network = network(&few, seed)?;
                if is_transfer {
                    copy_layers(&pretrained, &mut network, CONVOLUTIONS);
                    network.freeze_layers(..CONVOLUTIONS)?;
                }
                learn(args, seed, &mut network, &few)?;
                *sum += network.accuracy(second_test.images(), second_test.labels())?;
            }
        }
        let [frozen, scratch] = sums.map(|sum| sum / args.repeats as f64);
        let (a, b) = (percent(frozen, 1), percent(scratch, 1));
        writeln!(out, "{images:>20} {a:>21} {b:>14}")?;
        rows.push((images, frozen, scratch));
    }

    let mut results = args.common.results(start);
    results["epochs"] = json!(args.epochs);
    results["steps"] = json!(args.steps);
    results["repeats"] = json!(args.repeats);
    results["batch_size"] = json!(args.batch_size);
    results["learning_rate"] = json!(args.lr);
    results["first_task_test_accuracy"] = json!(accuracy);
    let rows_as_json = rows.iter().map(|&(images, frozen, scratch)| {
        json!({"images_per_class": images, "frozen": frozen, "from_scratch": scratch})
    });
    results["second_task"] = rows_as_json.collect();
    args.common.write(&results, (1500, 900), |area| {
        let title = "Learning the classes 5 to 9 from a few images";
        let subtitle = format!(
            "{}, accuracy on {} test images, {}, mean of {} of training images",
            args.common.data.title(),
            second_test.len(),
            count(args.steps, "step"),
            count(args.repeats, "choice")
        );
        let images = |i: &f64| match rows.get(i.round() as usize) {
            Some(row) if (i - i.round()).abs() < 1e-9 => row.0.to_string(),
            _ => String::new(),
        };
        chart(&rows, &images).draw(&heading(area, title, &subtitle)?)
    })
}

/// The images of five classes, with labels from 0.
fn only(data: &Dataset, first: usize) -> Result<Dataset> {
    let classes = first..first + CLASSES;
    let labels = data.labels().iter().enumerate();
    let rows = labels.filter(|(_, label)| classes.contains(label));
    let (rows, labels): (Vec<usize>, Vec<usize>) =
        rows.map(|(row, label)| (row, label - first)).unzip();
    let images = data.images().select(ndarray::Axis(0), &rows);
    Ok(Dataset::new(images, labels, data.image_shape(), CLASSES)?)
}

/// `count` images of each class, or all if there are fewer.
fn few_of_each(data: &Dataset, count: usize, seed: u64) -> Result<Dataset> {
    let shuffled = data.shuffled(seed);
    let mut seen = [0; CLASSES];
    let is_wanted = |&row: &usize| {
        let of_class = &mut seen[shuffled.labels()[row]];
        *of_class += 1;
        *of_class <= count
    };
    let rows: Vec<usize> = (0..shuffled.len()).filter(is_wanted).collect();
    Ok(shuffled.select(&rows)?)
}

/// Two convolutions, the second of which halves the image, a hidden layer and a last layer.
fn network(data: &Dataset, seed: u64) -> Result<Network> {
    let conv = |filters, stride| {
        let config = Conv2dConfig::new(filters, 3).stride(stride);
        config.same().without_bias() // BatchNormalization's beta replaces a bias
    };
    let builder = Network::builder(data.image_shape())
        .conv2d(conv(16, 1))
        .batch_norm()
        .relu()
        .conv2d(conv(32, 2))
        .batch_norm()
        .relu()
        .affine_without_bias(64)
        .batch_norm()
        .relu()
        .affine(CLASSES);
    Ok(builder.build(seed)?)
}

/// Copies the parameters, running statistics and counters of the first `layers` layers.
fn copy_layers(from: &Network, to: &mut Network, layers: usize) {
    let prefixes: Vec<String> = (0..layers).map(|i| format!("layers.{i}.")).collect();
    let is_copied = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let (mut arrays, mut counters) = (HashMap::new(), HashMap::new());
    from.state(&mut |part| match part {
        State::Array(p) => drop(arrays.insert(p.name.to_owned(), p.value.to_vec())),
        State::Counter(name, value) => drop(counters.insert(name.to_owned(), value)),
    });
    to.state_mut(&mut |part| match part {
        StateMut::Array(p) if is_copied(p.name) => p.value.copy_from_slice(&arrays[p.name]),
        StateMut::Counter(name, value) if is_copied(name) => *value = counters[name],
        _ => {}
    });
}

/// Trains on a few images.
fn learn(args: &Args, seed: u64, network: &mut Network, few: &Dataset) -> Result<()> {
    let trainer = Trainer::new(args.batch_size.min(few.len()))
        .iterations(args.steps)
        .schedule(Schedule::Cosine {
            lr: args.lr,
            steps: args.steps,
            min_lr: 0.0,
        })
        .evaluate_every(args.steps)
        .evaluate_train(false)
        .seed(seed)
        .progress(false);
    let (mut loss, mut adam) = (SoftmaxWithLoss::new(), Adam::pytorch(args.lr)?);
    trainer.fit(network, &mut loss, &mut adam, few, None)?;
    Ok(())
}

/// The accuracies by the number of images of each class; each row of the table has the same room.
fn chart<'a>(rows: &[(usize, f64, f64)], images: &'a dyn Fn(&f64) -> String) -> LineChart<'a> {
    let line = |name, accuracy: fn(&(usize, f64, f64)) -> f64, color, dashed| {
        let points = rows.iter().enumerate();
        Line {
            name,
            points: points.map(|(i, row)| (i as f64, accuracy(row))).collect(),
            color,
            dashed,
        }
    };
    let last = rows.len().saturating_sub(1) as f64;
    LineChart {
        title: "Test accuracy",
        x: Axis {
            name: "training images of each class",
            range: if last > 0.0 { 0.0..last } else { -1.0..1.0 },
            ticks: rows.len(),
            format: images,
        },
        y: Axis {
            name: "accuracy",
            range: 0.0..1.0,
            ticks: 6,
            format: &|accuracy| percent(*accuracy, 0),
        },
        lines: vec![
            line(
                "frozen convolutions of the classes 0 to 4",
                |row| row.1,
                BLUE,
                false,
            ),
            line("from scratch", |row| row.2, ORANGE, true),
        ],
        legend: Some(SeriesLabelPosition::LowerRight),
        font_size: 28,
    }
}
