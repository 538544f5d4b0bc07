//! A run: what is kept of it, and what happens every so many steps.

use super::Args;
use super::common::{dcgan::Artist, style::percent};
use super::pictures;
use anyhow::{Result, bail};
use batchnorm::data::BatchState;
use batchnorm::net::{GanCallback, GanRecord};
use batchnorm::{Batches, Checkpoint, Gan};
use indicatif::{ProgressBar, ProgressStyle};
use ndarray::{Array2, Axis};
use std::{ops::ControlFlow, time::Instant};

/// Figures of a step: loss of the real images, of the fakes, of the generator; accuracy on the real
/// images, on the fakes.
pub(crate) const FIGURES: usize = 5;
/// Samples of a grid, of which the contact sheet shows the first.
const SAMPLES: usize = 25;
pub(crate) const SHOWN: usize = 16;

pub(crate) struct Run<'a> {
    pub(crate) args: &'a Args,
    pub(crate) per_epoch: u64,
    /// Of each step.
    pub(crate) history: Vec<[f64; FIGURES]>,
    /// The steps at which the same noise was drawn, and the images `(SHOWN, 784)`.
    pub(crate) moments: Vec<(u64, Array2<f32>)>,
    total: u64,
    artist: Artist,
    noise: Array2<f32>, // (SAMPLES, LATENT)
    bar: ProgressBar,
    start: Instant,
    failed: Result<()>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(args: &'a Args, total: u64, per_epoch: u64, gan: &Gan) -> Result<Self> {
        let style = "{bar:24} {pos}/{len} steps, {elapsed} of {duration}{msg}";
        let bar = ProgressBar::new(total).with_style(ProgressStyle::with_template(style)?);
        Ok(Self {
            args,
            per_epoch,
            history: Vec::new(),
            moments: Vec::new(),
            total,
            artist: Artist::new(args.recipe, args.common.seed)?,
            noise: gan.noise(args.common.seed.wrapping_add(3), SAMPLES)?,
            bar,
            start: Instant::now(),
            failed: Ok(()),
        })
    }

    pub(crate) fn train(&mut self, gan: &mut Gan, batches: &mut Batches<'_>) -> Result<()> {
        if gan.iteration() > self.total {
            let (done, total) = (gan.iteration(), self.total);
            bail!("the checkpoint is of step {done}, past the {total} asked for");
        }
        if gan.iteration() == 0 {
            self.keep_moment(gan)?;
        }
        self.bar.set_position(gan.iteration());
        self.bar.reset_eta();
        let result = gan.train(batches, self.total, self);
        self.bar.finish_and_clear();
        result?;
        std::mem::replace(&mut self.failed, Ok(()))?;
        self.save(gan, batches.state())
    }

    /// Takes over the state of the folder's checkpoint; the place among the mini-batches.
    pub(crate) fn resume(&mut self, gan: &mut Gan) -> Result<BatchState> {
        let path = self.args.checkpoint();
        let checkpoint = Checkpoint::load(&path)?;
        for (option, now) in self.settings() {
            let then: String = checkpoint.value(option)?;
            if then != now {
                let path = path.display();
                bail!(
                    "{path} was made with --{option} {then}, not {now}: give that, or another --folder"
                );
            }
        }
        gan.restore(&checkpoint)?;
        checkpoint.restore_network("artist", &mut self.artist.network)?;
        let history = checkpoint.array::<f64>("history")?;
        self.history = history
            .iter()
            .copied()
            .collect::<Vec<_>>()
            .as_chunks()
            .0
            .to_vec();
        for step in checkpoint.value::<Vec<u64>>("moments")? {
            let images = checkpoint.array::<f32>(&moment_name(step))?;
            self.moments.push((step, images.into_dimensionality()?));
        }
        Ok(checkpoint.batches("batches")?)
    }

    fn save(&self, gan: &Gan, batches: BatchState) -> Result<()> {
        let mut checkpoint = Checkpoint::new();
        gan.add_to(&mut checkpoint)?;
        checkpoint.add_network("artist", &self.artist.network)?;
        checkpoint.add_batches("batches", batches)?;
        for (option, value) in self.settings() {
            checkpoint.add_value(option, &value)?;
        }
        let shape = [self.history.len(), FIGURES];
        checkpoint.add_array("history", &shape, self.history.as_flattened())?;
        let steps: Vec<u64> = self.moments.iter().map(|(step, _)| *step).collect();
        checkpoint.add_value("moments", &steps)?;
        for (step, images) in &self.moments {
            let values = images.as_slice().unwrap_or_default();
            checkpoint.add_array(&moment_name(*step), images.shape(), values)?;
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

    /// The mean figures of the last `n` steps.
    pub(crate) fn mean_of_last(&self, n: usize) -> [f64; FIGURES] {
        let last = &self.history[self.history.len().saturating_sub(n)..];
        mean(last)
    }

    fn keep_moment(&mut self, gan: &Gan) -> Result<()> {
        let shown = self.noise.view().split_at(Axis(0), SHOWN).0;
        let images = self.artist.network.predict(shown)?;
        self.moments.push((gan.iteration(), images));
        Ok(())
    }

    fn after_step(&mut self, record: &GanRecord, gan: &Gan) -> Result<()> {
        self.artist.follow(gan)?;
        let d = &record.discriminator;
        let losses = [d.real_loss, d.fake_loss, record.generator_loss];
        let [real, fake, generator] = losses;
        self.history
            .push([real, fake, generator, d.real_accuracy, d.fake_accuracy]);
        self.bar.inc(1);
        self.bar.set_message(format!(
            ", D {:.2} (real {}, fake {}), G {generator:.2}",
            real + fake,
            percent(d.real_accuracy, 0),
            percent(d.fake_accuracy, 0)
        ));
        let step = record.iteration;
        if is_moment(step, self.per_epoch) {
            self.keep_moment(gan)?;
        }
        if step.is_multiple_of(self.args.grid_every) {
            let images = self.artist.network.predict(self.noise.view())?;
            let name = format!("samples-{step:06}.png");
            pictures::grid(&self.args.folder.join(name), images.view())?;
        }
        if step.is_multiple_of(self.per_epoch) {
            let [real, fake, generator, ..] = self.mean_of_last(self.per_epoch as usize);
            let (epoch, seconds) = (step / self.per_epoch, self.start.elapsed().as_secs_f64());
            self.bar.suspend(|| {
                println!(
                    "epoch {epoch:>3}: discriminator {:.3}, generator {generator:.3}, {seconds:.0} s",
                    real + fake
                );
            });
        }
        if step.is_multiple_of(self.args.checkpoint_every) {
            self.save(gan, record.batches)?;
        }
        Ok(())
    }
}

impl GanCallback for Run<'_> {
    fn on_iteration(&mut self, record: &GanRecord, gan: &Gan) -> ControlFlow<()> {
        match self.after_step(record, gan) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Err(error);
                ControlFlow::Break(())
            }
        }
    }
}

/// The contact sheet shows the first tenth and third of an epoch, and each epoch.
fn is_moment(step: u64, per_epoch: u64) -> bool {
    step == per_epoch.div_ceil(10)
        || step == per_epoch.div_ceil(3)
        || step.is_multiple_of(per_epoch)
}

pub(crate) fn mean(steps: &[[f64; FIGURES]]) -> [f64; FIGURES] {
    let mut mean = [0.0; FIGURES];
    for step in steps {
        for (sum, figure) in mean.iter_mut().zip(step) {
            *sum += figure / steps.len() as f64;
        }
    }
    mean
}

fn moment_name(step: u64) -> String {
    format!("moment.{step}")
}
