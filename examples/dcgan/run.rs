//! A training run: its history, and what happens after each step.

use super::Args;
use super::pictures;
use anyhow::{Result, bail};
use batchnorm::data::BatchState;
use batchnorm::net::{GanCallback, GanRecord};
use batchnorm::{Batches, Checkpoint, Gan};
use bn_examples::dcgan::AveragedGenerator;
use bn_examples::style::{count, percent, progress_bar};
use bn_examples::{interrupt, picture};
use indicatif::ProgressBar;
use ndarray::{Array2, Axis};
use std::{
    io::{Write, stdout},
    ops::ControlFlow,
    time::Instant,
};

/// The number of samples in a grid.
const SAMPLES: usize = 25;
/// The number of samples in a row of the contact sheet: the first ones of the grid.
pub(crate) const COLUMNS: usize = 16;

/// The number of metrics.
const METRICS: usize = 5;

/// The metrics of a step, or their means over several steps.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Metrics {
    pub(crate) real_loss: f64,
    pub(crate) fake_loss: f64,
    pub(crate) generator_loss: f64,
    pub(crate) real_accuracy: f64,
    pub(crate) fake_accuracy: f64,
}

impl Metrics {
    fn of(record: &GanRecord) -> Self {
        let step = &record.discriminator;
        Self {
            real_loss: step.real_loss,
            fake_loss: step.fake_loss,
            generator_loss: record.generator_loss,
            real_accuracy: step.real_accuracy,
            fake_accuracy: step.fake_accuracy,
        }
    }

    pub(crate) fn mean(steps: &[Self]) -> Self {
        let mean = |metric: fn(&Self) -> f64| {
            steps
                .iter()
                .map(metric)
                .map(|value| value / steps.len() as f64)
                .sum()
        };
        Self {
            real_loss: mean(|m| m.real_loss),
            fake_loss: mean(|m| m.fake_loss),
            generator_loss: mean(|m| m.generator_loss),
            real_accuracy: mean(|m| m.real_accuracy),
            fake_accuracy: mean(|m| m.fake_accuracy),
        }
    }

    fn to_array(self) -> [f64; METRICS] {
        [
            self.real_loss,
            self.fake_loss,
            self.generator_loss,
            self.real_accuracy,
            self.fake_accuracy,
        ]
    }

    fn from_array(values: [f64; METRICS]) -> Self {
        let [
            real_loss,
            fake_loss,
            generator_loss,
            real_accuracy,
            fake_accuracy,
        ] = values;
        Self {
            real_loss,
            fake_loss,
            generator_loss,
            real_accuracy,
            fake_accuracy,
        }
    }
}

/// A number of steps and the images `(COLUMNS, 784)` that were generated after them.
pub(crate) type Snapshot = (u64, Array2<f32>);

pub(crate) struct Run<'a> {
    pub(crate) args: &'a Args,
    pub(crate) per_epoch: u64,
    /// The metrics of each step.
    pub(crate) history: Vec<Metrics>,
    snapshots: Vec<Snapshot>, // all from the same noise
    total: u64,
    averaged: AveragedGenerator,
    noise: Array2<f32>, // (SAMPLES, LATENT)
    bar: ProgressBar,
    start: Instant,
    failed: Result<()>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(args: &'a Args, total: u64, per_epoch: u64, gan: &Gan) -> Result<Self> {
        Ok(Self {
            args,
            per_epoch,
            history: Vec::new(),
            snapshots: Vec::new(),
            total,
            averaged: AveragedGenerator::new(args.recipe, args.common.seed)?,
            noise: gan.noise(args.common.seed.wrapping_add(3), SAMPLES)?,
            bar: progress_bar(total, "steps"),
            start: Instant::now(),
            failed: Ok(()),
        })
    }

    /// Trains up to the last step, or until Ctrl-C is pressed, and writes the checkpoint.
    pub(crate) fn train(&mut self, gan: &mut Gan, batches: &mut Batches<'_>) -> Result<()> {
        if gan.iteration() == 0 {
            let images = self.generate()?;
            self.snapshots.push((0, images));
        }
        self.bar.set_position(gan.iteration());
        self.bar.reset_eta();
        let result = gan.train(batches, self.total, self);
        self.bar.finish_and_clear();
        result?;
        std::mem::replace(&mut self.failed, Ok(()))?;
        self.save(gan, batches.state())
    }

    /// Restores the state from the folder's checkpoint. Returns the position in the batches.
    pub(crate) fn resume(&mut self, gan: &mut Gan) -> Result<BatchState> {
        let path = self.args.checkpoint();
        let checkpoint = Checkpoint::load(&path)?;
        let path = path.display();
        for (option, now) in self.settings() {
            let then: String = checkpoint.value(option)?;
            if then != now {
                bail!(
                    "{path} was made with --{option} {then}, not {now}: \
                     give --{option} {then}, or another --folder"
                );
            }
        }
        gan.restore(&checkpoint)?;
        let (done, total) = (gan.iteration(), self.total);
        if done > total {
            bail!(
                "{path} is at step {done}, past the {} to train for: give more --steps or --epochs",
                count(total, "step")
            );
        }
        checkpoint.restore_network("averaged_generator", &mut self.averaged.network)?;
        let history: Vec<f64> = checkpoint.array("history")?.iter().copied().collect();
        let (steps, _) = history.as_chunks();
        self.history = steps.iter().copied().map(Metrics::from_array).collect();
        for step in checkpoint.value::<Vec<u64>>("snapshots")? {
            let images = checkpoint.array::<f32>(&snapshot_name(step))?;
            self.snapshots.push((step, images.into_dimensionality()?));
        }
        Ok(checkpoint.batches("batches")?)
    }

    fn save(&self, gan: &Gan, batches: BatchState) -> Result<()> {
        let mut checkpoint = Checkpoint::new();
        gan.add_to(&mut checkpoint)?;
        checkpoint.add_network("averaged_generator", &self.averaged.network)?;
        checkpoint.add_batches("batches", batches)?;
        for (option, value) in self.settings() {
            checkpoint.add_value(option, &value)?;
        }
        let history: Vec<_> = self.history.iter().map(|step| step.to_array()).collect();
        let shape = [history.len(), METRICS];
        checkpoint.add_array("history", &shape, history.as_flattened())?;
        let steps: Vec<u64> = self.snapshots.iter().map(|(step, _)| *step).collect();
        checkpoint.add_value("snapshots", &steps)?;
        for (step, images) in &self.snapshots {
            let values = images.as_slice().unwrap_or_default();
            checkpoint.add_array(&snapshot_name(*step), images.shape(), values)?;
        }
        Ok(checkpoint.save(self.args.checkpoint())?)
    }

    /// The options that a resumed run must share.
    fn settings(&self) -> [(&'static str, String); 4] {
        [
            ("recipe", self.args.recipe.to_string()),
            ("data", self.args.common.data.to_string()),
            ("batch-size", self.args.batch_size().to_string()),
            ("seed", self.args.common.seed.to_string()),
        ]
    }

    /// The mean metrics of the last `n` steps.
    pub(crate) fn mean_of_last(&self, n: usize) -> Metrics {
        Metrics::mean(&self.history[self.history.len().saturating_sub(n)..])
    }

    /// All snapshots, including one of the last step.
    pub(crate) fn snapshots(&self, gan: &Gan) -> Result<Vec<Snapshot>> {
        let mut snapshots = self.snapshots.clone();
        if snapshots
            .last()
            .is_none_or(|(step, _)| *step < gan.iteration())
        {
            snapshots.push((gan.iteration(), self.generate()?));
        }
        Ok(snapshots)
    }

    /// Generates the images of a snapshot.
    fn generate(&self) -> Result<Array2<f32>> {
        let noise = self.noise.view().split_at(Axis(0), COLUMNS).0;
        Ok(self.averaged.network.predict(noise)?)
    }

    fn after_step(&mut self, record: &GanRecord, gan: &Gan) -> Result<()> {
        self.averaged.update(gan)?;
        let (step, metrics) = (record.iteration, Metrics::of(record));
        self.history.push(metrics);
        self.bar.inc(1);
        self.bar.set_message(format!(
            ", D {:.2} (real {}, fake {}), G {:.2}",
            metrics.real_loss + metrics.fake_loss,
            percent(metrics.real_accuracy, 0),
            percent(metrics.fake_accuracy, 0),
            metrics.generator_loss
        ));
        if is_snapshot(step, self.per_epoch) {
            let images = self.generate()?;
            self.snapshots.push((step, images));
        }
        let grid_wanted = step.is_multiple_of(self.args.grid_every);
        if grid_wanted {
            let images = self.averaged.network.predict(self.noise.view())?;
            let path = self.args.folder.join(format!("samples-{step:06}.png"));
            picture::save(&path, pictures::grid_size(SAMPLES), |area| {
                pictures::grid(area, images.view())
            })?;
        }
        if grid_wanted || step.is_multiple_of(self.per_epoch) {
            self.print_line(step)?;
        }
        if step.is_multiple_of(self.args.checkpoint_every) {
            self.save(gan, record.batches)?;
        }
        Ok(())
    }

    /// The mean losses since the epoch began, or of the epoch that has just ended.
    fn print_line(&self, step: u64) -> Result<()> {
        let steps = 1 + (step - 1) % self.per_epoch;
        let mean = self.mean_of_last(steps as usize);
        self.bar.suspend(|| {
            writeln!(
                stdout(),
                "step {step:>6} of {}, epoch {:.2}: discriminator loss {:.3}, generator loss {:.3}, {:.0} s",
                self.total,
                step as f64 / self.per_epoch as f64,
                mean.real_loss + mean.fake_loss,
                mean.generator_loss,
                self.start.elapsed().as_secs_f64()
            )
        })?;
        Ok(())
    }
}

impl GanCallback for Run<'_> {
    fn on_iteration(&mut self, record: &GanRecord, gan: &Gan) -> ControlFlow<()> {
        self.failed = self.after_step(record, gan);
        match self.failed.is_err() || interrupt::requested() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// There are snapshots after a tenth and a third of the first epoch, and after each epoch.
fn is_snapshot(step: u64, per_epoch: u64) -> bool {
    step == per_epoch.div_ceil(10)
        || step == per_epoch.div_ceil(3)
        || step.is_multiple_of(per_epoch)
}

fn snapshot_name(step: u64) -> String {
    format!("snapshot.{step}")
}
