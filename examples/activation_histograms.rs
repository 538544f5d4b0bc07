//! The activations of the hidden layers of an untrained network, with and without Batch
//! Normalization (the book's `ch06/weight_init_activation_histogram.py`).

use anyhow::{Result, ensure};
use batchnorm::data::{Dataset, Standardize};
use batchnorm::layers::Init;
use batchnorm::{Mode, Network};
use bn_examples::args::{CommonArgs, Defaults};
use bn_examples::histogram::{self, Panel, Row, short};
use bn_examples::style::{BLUE, ORANGE, heading, percent};
use bn_examples::values;
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};
use std::{io::Write, ops::Range, process::ExitCode, time::Instant};

/// Draw histograms of the activations of each hidden layer, with and without Batch Normalization
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Number of training images to use; each pixel is standardized
    #[arg(long, default_value_t = 1000, value_parser = values::size(2, 60_000))]
    images: usize,
    /// Standard deviation of the initial weights
    #[arg(long, default_value_t = 1.0, value_parser = values::standard_deviation)]
    weight_init_std: f64,
    /// Activation of the hidden layers
    #[arg(long, value_enum, default_value_t = Activation::Sigmoid)]
    activation: Activation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Activation {
    Sigmoid,
    Relu,
    Tanh,
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}

const LAYERS: usize = 5;

/// The activations of one hidden layer.
struct LayerStats {
    values: Vec<f64>,
    mean: f64,
    std: f64,
    zeros: f64, // the fraction of zeros
}

fn main() -> ExitCode {
    let defaults = Defaults {
        data: "digits",
        picture: Some("bn-activations.png"),
    };
    bn_examples::run(defaults, activation_histograms)
}

fn activation_histograms(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    let (train, _) = args.common.load()?;
    let mut images = train.take(args.images);
    Standardize::fit(images.images())?.apply(images.images_mut())?;

    let without = activations(args, false, &images)?;
    let with = activations(args, true, &images)?;
    let activation = format!("{:?}", args.activation).to_lowercase();
    let setting = format!(
        "{} images of {}, {LAYERS} hidden layers of 100, {activation}, initial weights of standard deviation {}",
        images.len(),
        args.common.data.title(),
        args.weight_init_std
    );
    writeln!(
        out,
        "{setting}\n\nlayer          without BN                     with BN"
    )?;
    writeln!(
        out,
        "           mean      std   zeros       mean      std   zeros"
    )?;
    for (i, (a, b)) in without.iter().zip(&with).enumerate() {
        let cells = |s: &LayerStats| {
            let (mean, std) = (short(s.mean), short(s.std));
            format!("{mean:>8} {std:>8} {:>7}", percent(s.zeros, 0))
        };
        writeln!(out, "{:>5}   {}   {}", i + 1, cells(a), cells(b))?;
    }
    let mut results = args.common.results(start);
    results["activation"] = json!(activation);
    results["weight_init_std"] = json!(args.weight_init_std);
    results["images"] = json!(images.len());
    results["plain"] = without.iter().map(to_json).collect();
    results["batch_norm"] = with.iter().map(to_json).collect();
    writeln!(out)?;
    args.common.write(&results, (1900, 1000), |area| {
        let title = "Activations of each hidden layer without and with Batch Normalization";
        let rows = [("without", &without, ORANGE), ("with", &with, BLUE)];
        let rows = rows.map(|(name, layers, color)| {
            let panels = layers
                .iter()
                .enumerate()
                .map(|(i, layer)| panel(i, args.activation, layer));
            let panels = panels.collect();
            (
                Row {
                    name,
                    color,
                    panels,
                },
                range(args.activation, layers),
            )
        });
        let subtitle = format!("{setting}; each panel is scaled to its highest bar");
        histogram::draw(&heading(area, title, &subtitle)?, &rows)
    })
}

/// Passes the images through an untrained network. Returns the activations of each hidden layer.
fn activations(args: &Args, batch_norm: bool, images: &Dataset) -> Result<Vec<LayerStats>> {
    let mut builder =
        Network::builder(images.images().ncols()).init(Init::Std(args.weight_init_std));
    for _ in 0..LAYERS {
        builder = builder.affine(100);
        if batch_norm {
            builder = builder.batch_norm();
        }
        builder = match args.activation {
            Activation::Sigmoid => builder.sigmoid(),
            Activation::Relu => builder.relu(),
            Activation::Tanh => builder.tanh(),
        };
    }
    let mut network = builder.build(args.common.seed)?;
    network.forward(images.images(), Mode::BatchStats)?;
    let per_hidden_layer = if batch_norm { 3 } else { 2 };
    let outputs = (1..=LAYERS).filter_map(|i| network.activation(i * per_hidden_layer - 1));
    let layers = outputs.map(|y| measure(y.iter().map(|&v| f64::from(v)).collect()));
    let layers: Vec<_> = layers.collect();
    ensure!(
        layers.iter().all(|layer| layer.std.is_finite()),
        "the activations are not finite; give a smaller --weight-init-std"
    );
    Ok(layers)
}

fn measure(values: Vec<f64>) -> LayerStats {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let var = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    let zeros = values.iter().filter(|&&v| v == 0.0).count() as f64 / n;
    LayerStats {
        values,
        mean,
        std: var.sqrt(),
        zeros,
    }
}

/// Half of a ReLU's values are 0. Their bar would be much higher than all others, so the note gives
/// their share instead.
fn panel(index: usize, activation: Activation, layer: &LayerStats) -> Panel {
    let mut note = format!("mean {}, std {}", short(layer.mean), short(layer.std));
    if activation == Activation::Relu {
        note += &format!(", {} zeros", percent(layer.zeros, 0));
    }
    let values = layer.values.iter().copied();
    let included = |&v: &f64| activation != Activation::Relu || v != 0.0;
    Panel {
        title: format!("layer {}", index + 1),
        note,
        values: values.filter(included).collect(),
    }
}

/// The range of the activation; for a ReLU, a range that contains nearly all values.
fn range(activation: Activation, layers: &[LayerStats]) -> Range<f64> {
    match activation {
        Activation::Sigmoid => 0.0..1.0,
        Activation::Tanh => -1.0..1.0,
        Activation::Relu => {
            let tails = layers.iter().map(|layer| layer.mean + 3.0 * layer.std);
            let highest = tails.fold(0.0, f64::max);
            0.0..if highest > 0.0 { highest } else { 1.0 }
        }
    }
}

fn to_json(layer: &LayerStats) -> Value {
    json!({"mean": layer.mean, "std": layer.std, "zeros": layer.zeros})
}
