//! A DCGAN (arXiv:1511.06434) that learns to draw the digits of MNIST.

#[path = "../common/mod.rs"]
mod common;
mod pictures;
mod run;

use anyhow::{Context, Result, bail};
use batchnorm::{Batches, LastBatch, Sampling, data::Dataset};
use clap::Parser;
use common::args::{CommonArgs, Defaults};
use common::dcgan::{self, Recipe, SIDE};
use common::{output, picture, style::percent};
use run::Run;
use serde_json::json;
use std::{io::Write, path::PathBuf, process::ExitCode, time::Instant};

const MORE: &str = "\
Three well-known mistakes of the Keras version are not made here:
  - A discriminator that was compiled and then frozen: which of its weights move then depends on
    when it was compiled. Here each network has an optimizer that moves that network alone.
  - Fakes for the discriminator that are normalised by the running statistics (`predict`) while the
    generator trains on those of its batch. Here both are of the batch.
  - One batch that is called an epoch. Here an epoch is all 60,000 images.

The folder holds the grids of samples, the curves of the losses, and the checkpoint from which
--resume goes on to the same bits as if it had never stopped, and from which --sample draws.";

/// Train a DCGAN on MNIST, and watch its digits become legible
#[derive(Debug, Parser)]
#[command(after_long_help = MORE)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Which two networks
    #[arg(long, value_enum, default_value_t = Recipe::Dcgan)]
    recipe: Recipe,
    /// Times through the training set
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    epochs: u64,
    /// End after so many steps instead
    #[arg(long, conflicts_with = "epochs", value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Images of a step [default: 64; 128 of the recipe seed]
    #[arg(long)]
    batch_size: Option<usize>,
    /// Folder for the checkpoint, the grids of samples and the curves; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "dcgan")]
    folder: PathBuf,
    /// Draw a grid of 25 samples after every so many steps
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u64).range(1..))]
    grid_every: u64,
    /// Write a checkpoint after every so many steps
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u64).range(1..))]
    checkpoint_every: u64,
    /// Go on from the checkpoint of the folder
    #[arg(long)]
    resume: bool,
    /// Draw so many digits with the checkpoint of the folder instead of training; --seed says which
    #[arg(long, value_name = "N", conflicts_with = "resume",
          value_parser = clap::value_parser!(u64).range(1..=10_000))]
    sample: Option<u64>,
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
    common::run(defaults, |args: &Args| match args.sample {
        Some(n) => sample(args, n as usize),
        None => train(args),
    })
}

/// Draws digits with a trained generator.
fn sample(args: &Args, n: usize) -> Result<()> {
    let (recipe, gan, artist) = dcgan::load(&args.checkpoint())?;
    let images = artist
        .network
        .predict(gan.noise(args.common.seed, n)?.view())?;
    if let Some(path) = &args.common.picture {
        pictures::grid(path, images.view())?;
    }
    writeln!(
        std::io::stdout(),
        "{n} digits of the recipe {recipe} after {} steps, seed {}.{}",
        gan.iteration(),
        args.common.seed,
        args.common.picture_note()
    )?;
    Ok(())
}

fn train(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    let checkpoint = args.checkpoint();
    if checkpoint.exists() && !args.resume {
        let path = checkpoint.display();
        bail!("{path} is there already: go on from it with --resume, or give another --folder");
    }
    let (mut train, _) = args.common.load()?;
    from_minus_one_to_one(&mut train)?;
    let sampling = Sampling::Permutation(LastBatch::Drop);
    let mut batches =
        Batches::with_sampling(&train, args.batch_size(), sampling, args.common.seed)?;
    let per_epoch = batches.batches_per_epoch() as u64;
    let total = args
        .steps
        .unwrap_or_else(|| args.epochs.saturating_mul(per_epoch));

    std::fs::create_dir_all(&args.folder).with_context(|| {
        let folder = args.folder.display();
        format!("cannot make the folder {folder}: give another with --folder")
    })?;
    output::check_writable(&checkpoint)?;
    let mut gan = args.recipe.gan(args.common.seed)?;
    let mut run = Run::new(args, total, per_epoch, &gan)?;
    if args.resume {
        batches.restore(run.resume(&mut gan)?)?;
    }
    writeln!(
        out,
        "{}: {} images; {} threads. Recipe {}: a generator of {} parameters, a discriminator of {}.\n\
         {} steps of batches of {}, {} an epoch, from step {} on; Adam 0.0002, beta1 0.5; seed {}.\n\
         In {}: a grid of samples every {} steps, a checkpoint every {}.\n",
        args.common.data,
        train.len(),
        batchnorm::tensor::threads(),
        args.recipe,
        gan.generator().param_count(),
        gan.discriminator().param_count(),
        total,
        args.batch_size(),
        per_epoch,
        gan.iteration() + 1,
        args.common.seed,
        args.folder.display(),
        args.grid_every,
        args.checkpoint_every,
    )?;
    run.train(&mut gan, &mut batches)?;

    let curves = args.folder.join("losses.png");
    picture::save(&curves, (1800, 800), |area| pictures::curves(area, &run))?;
    if let Some(path) = &args.common.picture {
        pictures::contact_sheet(path, &run)?;
    }
    let last = run.mean_of_last(per_epoch as usize);
    let mut figures = args.common.figures(start);
    figures["recipe"] = json!(args.recipe.to_string());
    figures["batch_size"] = json!(args.batch_size());
    figures["steps"] = json!(gan.iteration());
    figures["real_loss"] = json!(last[0]);
    figures["fake_loss"] = json!(last[1]);
    figures["generator_loss"] = json!(last[2]);
    figures["real_accuracy"] = json!(last[3]);
    figures["fake_accuracy"] = json!(last[4]);
    args.common.write_json(&figures)?;
    writeln!(
        out,
        "\n{} steps in {:.0} s. The discriminator took {} of the last real images for real and {} of \
         the fakes for fakes.\nCheckpoint: {}. Curves: {}.{}",
        gan.iteration(),
        start.elapsed().as_secs_f64(),
        percent(last[3], 0),
        percent(last[4], 0),
        checkpoint.display(),
        curves.display(),
        args.common.picture_note()
    )?;
    Ok(())
}

/// Gives the images values as tanh gives them.
fn from_minus_one_to_one(data: &mut Dataset) -> Result<()> {
    if (data.height(), data.width()) != (SIDE, SIDE) {
        let (h, w) = (data.height(), data.width());
        bail!(
            "the recipes draw images of 28×28, these are of {h}×{w}: give --data mnist or fashion"
        );
    }
    data.images_mut().mapv_inplace(|v| 2.0 * v - 1.0);
    Ok(())
}
