//! A DCGAN (arXiv:1511.06434) that learns to generate the digits of MNIST.

mod pictures;
mod run;

use anyhow::{Context, Result, bail, ensure};
use batchnorm::{Batches, LastBatch, Sampling};
use bn_examples::args::{CommonArgs, Defaults};
use bn_examples::dcgan::{self, Recipe, SIDE};
use bn_examples::style::{count, percent, threads};
use bn_examples::{interrupt, output, picture, values};
use clap::Parser;
use run::{Metrics, Run};
use serde_json::json;
use std::{
    io::{Write, stderr, stdout},
    path::PathBuf,
    process::ExitCode,
    time::Instant,
};

const MORE: &str = "\
Three well-known mistakes of the Keras version are avoided:
  - Keras freezes the discriminator after compiling it, so which weights are trained depends on
    when it was compiled. Here each network has an optimizer that changes only that network.
  - There the discriminator learns from fakes normalised by running statistics (`predict`), and the
    generator from fakes normalised by their batch. Here both use the batch's statistics.
  - There an epoch is a single batch. Here an epoch is all 60,000 images.

The folder contains grids of samples, the loss curves, and the checkpoint. Ctrl-C writes the
checkpoint first. --resume continues from the checkpoint, with the same bits as an uninterrupted
run, and --sample generates images from it.";

/// Train a DCGAN on MNIST, and draw the images that it generates
#[derive(Debug, Parser)]
#[command(after_long_help = MORE)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Architecture of the two networks
    #[arg(long, value_enum, default_value_t = Recipe::Dcgan)]
    recipe: Recipe,
    /// Passes over the training set
    #[arg(long, default_value_t = 10, value_parser = values::times)]
    epochs: u64,
    /// Train for this many steps instead of --epochs
    #[arg(long, conflicts_with = "epochs", value_parser = values::times)]
    steps: Option<u64>,
    /// Images per training step [default: 64, or 128 for the recipe seed]
    #[arg(long, value_parser = values::batch_size)]
    batch_size: Option<usize>,
    /// Folder for the checkpoint, the grids of samples and the loss curves; created if it is missing
    #[arg(long, value_name = "DIR", default_value = "dcgan")]
    folder: PathBuf,
    /// Draw a grid of 25 samples, and print a line, after every GRID_EVERY steps
    #[arg(long, default_value_t = 250, value_parser = values::times)]
    grid_every: u64,
    /// Write a checkpoint after every CHECKPOINT_EVERY steps
    #[arg(long, default_value_t = 250, value_parser = values::times)]
    checkpoint_every: u64,
    /// Continue from the folder's checkpoint
    #[arg(long)]
    resume: bool,
    /// Generate N images (1 to 10000) from the folder's checkpoint instead of training; --seed
    /// selects them
    #[arg(long, value_name = "N", conflicts_with = "resume",
          value_parser = values::size(1, 10_000))]
    sample: Option<usize>,
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}

impl Args {
    fn batch_size(&self) -> usize {
        self.batch_size.unwrap_or(match self.recipe {
            Recipe::Dcgan => 64,
            Recipe::Seed => 128,
        })
    }

    fn checkpoint(&self) -> PathBuf {
        self.folder.join("dcgan.safetensors")
    }
}

fn main() -> ExitCode {
    let defaults = Defaults {
        data: "mnist",
        picture: Some("bn-dcgan.png"),
    };
    bn_examples::run(defaults, |args: &Args| match args.sample {
        Some(n) => sample(args, n),
        None => train(args),
    })
}

/// Generates images with a trained generator.
fn sample(args: &Args, n: usize) -> Result<()> {
    let (start, mut out) = (Instant::now(), stdout());
    let (recipe, gan, averaged) = dcgan::load(&args.checkpoint())?;
    let noise = gan.noise(args.common.seed, n)?;
    let images = averaged.network.predict(noise.view())?;
    writeln!(
        out,
        "{} of the recipe {recipe} after {}, seed {}",
        count(n as u64, "image"),
        count(gan.iteration(), "step"),
        args.common.seed
    )?;
    let mut results = args.common.results(start);
    results["recipe"] = json!(recipe.to_string());
    results["steps"] = json!(gan.iteration());
    results["images"] = json!(n);
    args.common.write(&results, pictures::grid_size(n), |area| {
        pictures::grid(area, images.view())
    })
}

fn train(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), stdout());
    let checkpoint = args.checkpoint();
    check(args)?;
    let (mut train, _) = args.common.load()?;
    train.images_mut().mapv_inplace(|v| 2.0 * v - 1.0); // the range of tanh
    let sampling = Sampling::Permutation(LastBatch::Drop);
    let mut batches =
        Batches::with_sampling(&train, args.batch_size(), sampling, args.common.seed)?;
    let per_epoch = batches.batches_per_epoch() as u64;
    let total = args
        .steps
        .unwrap_or_else(|| args.epochs.saturating_mul(per_epoch));

    let mut gan = args.recipe.gan(args.common.seed)?;
    let mut run = Run::new(args, total, per_epoch, &gan)?;
    if args.resume {
        batches.restore(run.resume(&mut gan)?)?;
    }
    std::fs::create_dir_all(&args.folder).with_context(|| {
        let folder = args.folder.display();
        format!("cannot create the folder {folder}; give another with --folder")
    })?;
    writeln!(
        out,
        "{}: {} images; {}. Recipe {}: a generator with {} parameters, a discriminator with {}.\n\
         {} in batches of {}, {} per epoch, starting with step {}; Adam 0.0002, beta1 0.5; seed {}.\n\
         Folder {}: a grid of samples every {}, a checkpoint every {}.\n",
        args.common.data.title(),
        train.len(),
        threads(),
        args.recipe,
        gan.generator().param_count(),
        gan.discriminator().param_count(),
        count(total, "step"),
        args.batch_size(),
        per_epoch,
        gan.iteration() + 1,
        args.common.seed,
        args.folder.display(),
        count(args.grid_every, "step"),
        count(args.checkpoint_every, "step"),
    )?;
    let held = interrupt::hold();
    run.train(&mut gan, &mut batches)?;
    if interrupt::requested() {
        let _ = writeln!(
            stderr(),
            "Interrupted after {}. Checkpoint: {}. Continue with --resume.",
            count(gan.iteration(), "step"),
            checkpoint.display()
        );
    }
    held.release();

    let last = run.mean_of_last(per_epoch as usize);
    writeln!(
        out,
        "\n{} in {:.0} s. The discriminator classified {} of the real images and {} of the fakes \
         correctly (in the last {}).",
        count(gan.iteration(), "step"),
        start.elapsed().as_secs_f64(),
        percent(last.real_accuracy, 0),
        percent(last.fake_accuracy, 0),
        count(per_epoch.min(gan.iteration()), "step"),
    )?;
    output::announce("Checkpoint", &checkpoint)?;
    let curves = args.folder.join("losses.png");
    picture::save(&curves, (1800, 800), |area| pictures::curves(area, &run))?;
    output::announce("Curves", &curves)?;

    let mut results = args.common.results(start);
    results["recipe"] = json!(args.recipe.to_string());
    results["batch_size"] = json!(args.batch_size());
    results["steps"] = json!(gan.iteration());
    let Metrics {
        real_loss,
        fake_loss,
        generator_loss,
        real_accuracy,
        fake_accuracy,
    } = last;
    results["real_loss"] = json!(real_loss);
    results["fake_loss"] = json!(fake_loss);
    results["generator_loss"] = json!(generator_loss);
    results["real_accuracy"] = json!(real_accuracy);
    results["fake_accuracy"] = json!(fake_accuracy);
    let snapshots = run.snapshots(&gan)?;
    let size = pictures::contact_sheet_size(&snapshots);
    args.common.write(&results, size, |area| {
        pictures::contact_sheet(area, &run, &snapshots)
    })
}

/// Refuses what cannot work before any data is read.
fn check(args: &Args) -> Result<()> {
    let checkpoint = args.checkpoint();
    let path = checkpoint.display();
    ensure!(
        args.common.data.side() == SIDE,
        "the networks are for images of 28×28 pixels: give any --data but digits"
    );
    if checkpoint.exists() && !args.resume {
        bail!("{path} exists: continue from it with --resume, or give another --folder");
    }
    if args.resume && !checkpoint.is_file() {
        bail!("there is no checkpoint {path}: train without --resume first, or give its --folder");
    }
    output::check_folder(&args.folder)
}
