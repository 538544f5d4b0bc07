//! `bn train`.

pub(crate) mod config;
mod follow;
mod network;
mod optimizer;
mod settings;
#[cfg(feature = "serve")]
mod watch;

#[cfg(feature = "serve")]
use crate::serve::listen;
use crate::{
    data::{Split, describe},
    error::Error,
    interrupt, model,
    model::Origin,
    output::{Output, check_writable, count, percent},
};
use bn_data::{
    Augmentation, Batches, Dataset, Framing, LastBatch, Preprocessing, Sampling, Standardize,
};
use bn_net::{Callback, History, Model, Network, Optimizer, SoftmaxWithLoss, Trainer};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use follow::Follow;
pub(crate) use settings::TrainArgs;
pub use settings::{NetworkKind, OptimizerKind, ScheduleKind, Settings};

/// What [`train`](crate::train()) has made.
#[derive(Debug)]
#[non_exhaustive]
pub struct Trained {
    /// The model, as it is in the file.
    pub model: Model,
    /// The evaluations after each epoch.
    pub history: History,
    /// Where the data came from.
    pub origin: Origin,
}

pub(crate) fn report(args: &TrainArgs, output: Output) -> Result<(), Error> {
    let settings = &args.settings;
    if args.print_config {
        let text = config::text(settings)?;
        return output.report(&json!(settings), || text.trim_end().to_owned());
    }
    #[cfg(feature = "serve")]
    let page = args.watch.as_deref().map(listen).transpose()?; // before anything is read
    let run = Run::prepare(settings, output.progress())?;
    output.note(&run.description)?;
    #[cfg(feature = "serve")]
    if let Some(page) = page {
        return watch::train(run, page, output);
    }
    let trained = run.train(None)?;
    output.report(&trained.to_json(settings), || trained.to_text(settings))
}

/// What is trained, on what and how.
struct Fit {
    network: Network,
    optimizer: Box<dyn Optimizer<f32>>,
    trainer: Trainer,
    split: Arc<Split>,
}

impl Fit {
    fn new(settings: &Settings, split: Arc<Split>) -> Result<Self, Error> {
        let train = &split.train;
        Ok(Self {
            network: network::build(settings, train.image_shape(), train.classes())?,
            optimizer: optimizer::build(settings)?,
            trainer: trainer(settings, train)?.stop_when(interrupt::handle()),
            split,
        })
    }

    fn fit(&mut self, callback: &mut dyn Callback) -> Result<History, bn_net::Error> {
        self.trainer.fit_with(
            &mut self.network,
            &mut SoftmaxWithLoss::new(),
            &mut *self.optimizer,
            &self.split.train,
            Some(&self.split.test),
            callback,
        )
    }
}

/// A run before its first step.
pub(crate) struct Run<'a> {
    settings: &'a Settings,
    fit: Fit,
    preprocessing: Preprocessing,
    classes: Vec<String>,
    framing: Option<Framing>,
    /// What is trained on what, in three lines.
    description: String,
}

impl<'a> Run<'a> {
    /// Checks the settings, reads the data and builds the network.
    pub(crate) fn prepare(settings: &'a Settings, progress: bool) -> Result<Self, Error> {
        check_outputs(settings)?;
        let source = settings.data.read()?;
        let (max_value, classes) = (source.max_value, source.classes.clone());
        let mut split = settings.data.split(source, settings.seed)?;
        let framing = Framing::fit(&split.train); // of values from 0 to 1
        let shape = split.train.image_shape();
        let mut preprocessing = Preprocessing::new(1.0 / max_value, &[0.0], &[1.0])?;
        let is_table = (shape.0, shape.1) == (1, 1);
        if settings.standardize.unwrap_or(is_table) {
            let standardize = Standardize::fit(split.train.images())?;
            standardize.apply(split.train.images_mut())?;
            standardize.apply(split.test.images_mut())?;
            preprocessing = Preprocessing::standardized(1.0 / max_value, &standardize)?;
        }
        let mut fit = Fit::new(settings, Arc::new(split))?;
        fit.trainer = fit.trainer.progress(progress);
        if let Some(path) = &settings.checkpoint {
            fit.trainer = fit.trainer.checkpoint(path);
        }
        Ok(Self {
            settings,
            description: describe_run(settings, &fit.split, &fit.network),
            fit,
            preprocessing,
            classes,
            framing,
        })
    }

    /// Trains, and writes the files. The callback follows the run.
    pub(crate) fn train(mut self, callback: Option<&mut dyn Callback>) -> Result<Trained, Error> {
        let settings = self.settings;
        let mut follow = Follow::new(callback);
        // What was recorded before a failure is kept.
        let (history, failed) = match self.fit.fit(&mut follow) {
            Ok(history) => (history, None),
            Err(error) => (follow.history, Some(error)),
        };
        if let Some(path) = &settings.history
            && !history.records.is_empty()
        {
            write_history(path, &history)?;
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        let mut model = Model::from(self.fit.network);
        model.preprocessing = self.preprocessing;
        model.classes = self.classes;
        let origin = Origin {
            data: settings.data.clone(),
            seed: settings.seed,
            framing: self.framing,
        };
        model::save(&settings.output, &model, &origin)?;
        if interrupt::handle().load(Ordering::Relaxed) {
            let file = settings.output.display();
            let saved = format!("; what was trained so far is in {file}");
            return Err(Error::Interrupted { saved });
        }
        Ok(Trained {
            model,
            history,
            origin,
        })
    }
}

fn trainer(settings: &Settings, train: &Dataset) -> Result<Trainer, Error> {
    let sampling = Sampling::Permutation(LastBatch::Merge);
    let batches = Batches::with_sampling(train, settings.batch_size, sampling, settings.seed)?;
    let per_epoch = batches.batches_per_epoch() as u64;
    let steps = settings.epochs.saturating_mul(per_epoch);
    let mut trainer = Trainer::new(settings.batch_size)
        .epochs(settings.epochs)
        .sampling(sampling)
        .seed(settings.seed)
        .evaluate_train(false)
        .schedule(optimizer::schedule(settings, steps));
    if settings.augment {
        trainer = trainer.augment(augmentation(train.image_shape())?);
    }
    Ok(trainer)
}

fn describe_run(settings: &Settings, split: &Split, network: &Network) -> String {
    format!(
        "{}: {} to train on, {} to test on ({}), {} classes\n{}; {} parameters\n{}",
        settings.data.data,
        describe(&split.train),
        split.test.len(),
        split.test_name,
        split.train.classes(),
        network::describe(settings),
        network.param_count(),
        optimizer::describe(settings),
    )
}

/// Refuses what would fail only at the end.
fn check_outputs(settings: &Settings) -> Result<(), Error> {
    let Settings {
        output,
        checkpoint,
        history,
        ..
    } = settings;
    let all: Vec<&Path> = [Some(output), checkpoint.as_ref(), history.as_ref()]
        .into_iter()
        .flatten()
        .map(|path| path.as_path())
        .collect();
    for (i, path) in all.iter().enumerate() {
        if all[..i].contains(path) {
            return Err(Error::usage(
                format!("two outputs have the name {}", path.display()),
                "give --output, --checkpoint and --history a file each",
            ));
        }
        check_writable(path)?;
    }
    if let Some(path) = history
        && !matches!(extension(path), "csv" | "json")
    {
        return Err(Error::usage(
            format!("{} is no history that can be written", path.display()),
            "give a name that ends in .csv or .json",
        ));
    }
    match checkpoint {
        Some(path) if path.exists() && !settings.resume => Err(Error::usage(
            format!("there is a checkpoint {} already", path.display()),
            "continue from it with --resume, or remove it",
        )),
        _ => Ok(()),
    }
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or("")
}

fn write_history(path: &Path, history: &History) -> Result<(), Error> {
    match extension(path) {
        "csv" => history.write_csv(path)?,
        _ => history.write_json(path)?,
    }
    Ok(())
}

/// Shifts of a fourteenth of the image, 2 pixels of MNIST's 28, and rotations of 10 degrees.
fn augmentation((height, width, _): (usize, usize, usize)) -> Result<Augmentation, Error> {
    if height < 2 || width < 2 {
        return Err(Error::usage(
            "--augment needs images",
            "give the size of the images with --image-shape",
        ));
    }
    let shift = (height.min(width) / 14).max(1);
    Ok(Augmentation::default()
        .with_shift(shift)
        .with_rotation(10.0))
}

impl Trained {
    fn to_text(&self, settings: &Settings) -> String {
        let mut text = String::new();
        if let Some(record) = self.history.last() {
            if let (Some(accuracy), Some(loss)) = (record.test_accuracy(), record.test_loss) {
                text += &format!("test accuracy {}, loss {loss:.4}", percent(accuracy));
            }
            let epochs = count(record.epoch.round() as u64, "epoch");
            text += &format!(" after {epochs} in {:.1} s\n", record.seconds);
        }
        text + &format!("model: {}", settings.output.display())
    }

    fn to_json(&self, settings: &Settings) -> Value {
        let last = self.history.last();
        json!({
            "model": settings.output,
            "parameters": self.model.network.param_count(),
            "test_accuracy": last.and_then(|r| r.test_accuracy()),
            "test_loss": last.and_then(|r| r.test_loss),
            "epochs": last.map(|r| r.epoch),
            "seconds": last.map(|r| r.seconds),
            "settings": settings,
            "history": self.history.records,
        })
    }
}
