//! Binary classification: a network with one output tells two digits apart. It is trained with the
//! binary cross entropy of its logit, and evaluated by accuracy, precision, recall, F1 and the area
//! under the ROC curve.

use anyhow::{Context, Result, ensure};
use batchnorm::net::{Auc, BinaryAccuracy, F1, Metric, Precision, Recall, RocCurve, roc_curve};
use batchnorm::{Adam, BinaryCrossEntropy, Network, Schedule, data::Dataset};
use bn_examples::args::{CommonArgs, Defaults};
use bn_examples::epochs::Epochs;
use bn_examples::histogram::{self, Panel, Row};
use bn_examples::line_chart::{Axis, Line, LineChart};
use bn_examples::picture::Area;
use bn_examples::style::{BLUE, GREY, ORANGE, count, heading, percent};
use bn_examples::values;
use clap::Parser;
use ndarray::Array1;
use serde_json::json;
use std::{io::Write, process::ExitCode, time::Instant};

/// Train a network with one output to tell two digits apart, and draw its ROC curve
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// The two classes to tell apart, separated by a comma; the second is the positive one
    #[arg(long, value_delimiter = ',', default_value = "1,8", value_parser = values::size(0, 9))]
    digits: Vec<usize>,
    /// Passes over the training set
    #[arg(long, default_value_t = 10, value_parser = values::times)]
    epochs: u64,
    /// Images per training step
    #[arg(long, default_value_t = 20, value_parser = values::batch_size)]
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

fn main() -> ExitCode {
    let defaults = Defaults {
        data: "digits",
        picture: Some("bn-binary.png"),
    };
    bn_examples::run(defaults, binary)
}

fn binary(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    let [negative, positive] = args.digits[..] else {
        anyhow::bail!("--digits takes two classes, such as 4,9");
    };
    ensure!(
        negative != positive,
        "--digits takes two different classes, such as 4,9"
    );
    let (train, test) = args.common.load()?;
    let classes = [negative, positive];
    let (train, test) = (only(&train, classes)?, only(&test, classes)?);
    let mut network = Network::builder(train.images().ncols())
        .affine_without_bias(50)
        .batch_norm()
        .relu()
        .affine_without_bias(50)
        .batch_norm()
        .relu()
        .affine(1)
        .build(args.common.seed)?;
    writeln!(
        out,
        "{}: {} training images and {} test images of the classes {negative} (negative) and {positive} (positive)\n\
         Network {}-50-50-1 with BatchNormalization and ReLU, binary cross entropy of the logit;\n\
         Adam, learning rate {} falling to 0 along a cosine; {} in batches of {}; seed {}\n",
        args.common.data.title(),
        train.len(),
        test.len(),
        train.images().ncols(),
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
    // A logit above 0 is a probability above one half.
    let metrics: Vec<Box<dyn Metric<f32>>> = vec![
        Box::new(BinaryAccuracy::on_logits()),
        Box::new(Precision::binary(0.0)?),
        Box::new(Recall::binary(0.0)?),
        Box::new(F1::binary(0.0)?),
        Box::new(Auc::new()),
    ];
    let trainer = epochs
        .trainer()
        .metrics(metrics)
        .schedule(Schedule::Cosine {
            lr: args.lr,
            steps: epochs.steps(&train),
            min_lr: 0.0,
        });
    let (mut loss, mut adam) = (BinaryCrossEntropy::on_logits(), Adam::pytorch(args.lr)?);
    let (history, trained) =
        epochs.fit(&trainer, &mut network, &mut loss, &mut adam, &train, &test);
    trained?;

    let record = history.last().context("there was no epoch")?;
    writeln!(out, "\nOn the test images:")?;
    let mut results = args.common.results(start);
    for metric in &record.metrics {
        let value = metric.test.context("the metric is undefined")?;
        writeln!(out, "{:10} {value:.4}", metric.name)?;
        results[&metric.name] = json!(value);
    }
    let logits = network.predict(test.images())?; // (N, 1)
    let curve = roc_curve(test.labels(), logits.column(0))?;
    results["digits"] = json!(args.digits);
    results["epochs"] = json!(args.epochs);
    results["batch_size"] = json!(args.batch_size);
    results["learning_rate"] = json!(args.lr);
    results["roc_curve"] = json!({"fpr": curve.fpr, "tpr": curve.tpr});
    results["history"] = json!(history.records);
    args.common.write(&results, (1800, 900), |area| {
        let value = |name| record.test(name).unwrap_or(f64::NAN);
        let title = format!("{negative} or {positive}? AUC {:.4} on the test images", value("AUC"));
        let subtitle = format!(
            "{}, network {}-50-50-1 with Batch Normalization, {}; accuracy {}, precision {}, recall {}",
            args.common.data.title(),
            train.images().ncols(),
            count(args.epochs, "epoch"),
            percent(value("accuracy"), 2),
            percent(value("precision"), 2),
            percent(value("recall"), 2)
        );
        let (left, right) = heading(area, &title, &subtitle)?.split_horizontally(900);
        draw_curve(&left, &curve)?;
        draw_scores(&right, classes, test.labels(), &logits.column(0).to_owned())
    })
}

/// The images of two classes, with the labels 0 and 1.
fn only(data: &Dataset, [negative, positive]: [usize; 2]) -> Result<Dataset> {
    let labels = data.labels().iter().enumerate();
    let rows = labels.filter(|&(_, &label)| label == negative || label == positive);
    let (rows, labels): (Vec<usize>, Vec<usize>) = rows
        .map(|(row, &label)| (row, usize::from(label == positive)))
        .unzip();
    let images = data.images().select(ndarray::Axis(0), &rows);
    Ok(Dataset::new(images, labels, data.image_shape(), 2)?)
}

/// Draws the part of the ROC curve where it bends.
fn draw_curve(area: &Area<'_>, curve: &RocCurve) -> Result<()> {
    let points: Vec<(f64, f64)> = curve
        .fpr
        .iter()
        .copied()
        .zip(curve.tpr.iter().copied())
        .collect();
    let share = |part: f64| {
        // The curve reaches the true positive rate 1 − part before the false positive rate is part.
        points
            .iter()
            .any(|&(fpr, tpr)| fpr <= part && tpr >= 1.0 - part)
    };
    let part = [0.02, 0.1, 0.2]
        .into_iter()
        .find(|&part| share(part))
        .unwrap_or(1.0);
    let corner = 1.0 - part;
    // Where the curve enters the part, on its border.
    let inside = |&(fpr, tpr): &(f64, f64)| fpr <= part && tpr >= corner;
    let enters = points
        .iter()
        .find(|point| inside(point))
        .map(|&(fpr, _)| (fpr, corner));
    let visible = points.iter().copied().filter(|point| inside(point));
    let mut visible: Vec<(f64, f64)> = enters.into_iter().chain(visible).collect();
    if let Some(&(_, tpr)) = visible.last() {
        visible.push((part, tpr));
    }
    let title = match part < 1.0 {
        true => "ROC curve (upper left corner)",
        false => "ROC curve",
    };
    let decimals = if part < 0.05 { 1 } else { 0 };
    let format = move |rate: &f64| percent(*rate, decimals);
    let chart = LineChart {
        title,
        x: Axis {
            name: "false positive rate",
            range: 0.0..part,
            ticks: 6,
            format: &format,
        },
        y: Axis {
            name: "true positive rate",
            range: corner..1.0,
            ticks: 6,
            format: &format,
        },
        lines: vec![
            Line {
                name: "network",
                points: visible,
                color: BLUE,
                dashed: false,
            },
            Line {
                name: "guessing",
                points: if part < 1.0 {
                    Vec::new()
                } else {
                    vec![(0.0, 0.0), (1.0, 1.0)]
                },
                color: GREY,
                dashed: true,
            },
        ],
        legend: None,
        font_size: 28,
    };
    chart.draw(area)
}

/// Draws the distribution of the logits of each class.
fn draw_scores(
    area: &Area<'_>,
    classes: [usize; 2],
    labels: &[usize],
    logits: &Array1<f32>,
) -> Result<()> {
    let largest = logits.fold(1.0f32, |largest, logit| largest.max(logit.abs()));
    let range = f64::from(-largest)..f64::from(largest);
    let row = |name, label: usize, color| {
        let pairs = logits.iter().zip(labels);
        let of_class = pairs.filter(|&(_, &of_row)| of_row == label);
        let values: Vec<f64> = of_class.map(|(&logit, _)| logit.into()).collect();
        let wrong = values
            .iter()
            .filter(|&&logit| (logit > 0.0) != (label == 1));
        let panel = Panel {
            title: format!("Logits of class {}", classes[label]),
            note: format!(
                "{} of {} on the wrong side of 0",
                wrong.count(),
                values.len()
            ),
            values,
        };
        let panels = vec![panel];
        Row {
            name,
            color,
            panels,
        }
    };
    let rows = [
        (row("negative", 0, ORANGE), range.clone()),
        (row("positive", 1, BLUE), range),
    ];
    histogram::draw(area, &rows)
}
