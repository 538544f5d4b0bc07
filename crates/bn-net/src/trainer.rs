use crate::{
    Error, History, Loss, Network, Optimizer, Record, Schedule, Workspace, error::check_setting,
};
use bn_data::{Batches, Dataset, LastBatch, Sampling};
use bn_layers::{Layer, Mode};
use bn_tensor::enter_pool;
use indicatif::{ProgressBar, ProgressStyle};
use std::{ops::ControlFlow, time::Instant};

/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// So many times through the training set.
    Epochs(u64),
    /// So many steps.
    Iterations(u64),
}

/// Ends training when the test loss (or, without a test set, the training loss) no longer falls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EarlyStop {
    /// End after so many evaluations in a row without a new lowest loss.
    pub patience: usize,
    /// A loss counts as lower only by more than this.
    pub min_delta: f64,
}

/// What a training run tells its caller; each may end the run with [`ControlFlow::Break`]. A
/// closure `FnMut(&Record, &Network) -> ControlFlow<()>` is called for each evaluation.
pub trait Callback: Send {
    /// After each step: its number, from 1 on, and its loss.
    fn on_step(&mut self, iteration: u64, loss: f64) -> ControlFlow<()> {
        let _ = (iteration, loss);
        ControlFlow::Continue(())
    }

    /// After each evaluation.
    fn on_record(&mut self, record: &Record, network: &Network) -> ControlFlow<()>;
}

impl<F: FnMut(&Record, &Network) -> ControlFlow<()> + Send> Callback for F {
    fn on_record(&mut self, record: &Record, network: &Network) -> ControlFlow<()> {
        self(record, network)
    }
}

/// Trains a [`Network`] on a [`Dataset`] by mini-batches, and evaluates as it goes.
///
/// ```
/// use bn_data::Digits;
/// use bn_net::{Network, Sgd, SoftmaxWithLoss, Trainer};
/// let (train, test) = Digits::load()?.into_parts();
/// let mut network = Network::builder(64).affine(32).batch_norm().relu().affine(10).build(1)?;
/// let history = Trainer::new(64)
///     .epochs(5)
///     .seed(1)
///     .fit(&mut network, &mut SoftmaxWithLoss::new(), &mut Sgd::new(0.1)?, &train, Some(&test))?;
/// assert!(history.last().unwrap().test_accuracy.unwrap() > 0.85);
/// # Ok::<(), bn_net::Error>(())
/// ```
///
/// The same seed, network and data give the same bits, whatever the number of threads.
#[derive(Debug, Clone)]
pub struct Trainer {
    length: Length,
    batch_size: usize,
    sampling: Sampling,
    seed: u64,
    evaluate_every: Option<u64>,
    schedule: Option<Schedule>,
    early_stop: Option<EarlyStop>,
    progress: bool,
}

impl Trainer {
    /// One epoch in batches of `batch_size`, each image once an epoch, what is left over merged
    /// into the last batch; evaluated after each epoch; seed 0; with a progress bar on a terminal.
    pub fn new(batch_size: usize) -> Self {
        Self {
            length: Length::Epochs(1),
            batch_size,
            sampling: Sampling::Permutation(LastBatch::Merge),
            seed: 0,
            evaluate_every: None,
            schedule: None,
            early_stop: None,
            progress: true,
        }
    }

    /// Train for so many epochs.
    #[must_use]
    pub fn epochs(mut self, epochs: u64) -> Self {
        self.length = Length::Epochs(epochs);
        self
    }

    /// Train for so many steps.
    #[must_use]
    pub fn iterations(mut self, iterations: u64) -> Self {
        self.length = Length::Iterations(iterations);
        self
    }

    /// How batches are drawn. [`LastBatch::Keep`] is refused where it would give a single image
    /// to a BatchNormalization.
    #[must_use]
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// The seed of the batches.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Evaluate after every so many steps instead of after each epoch.
    #[must_use]
    pub fn evaluate_every(mut self, iterations: u64) -> Self {
        self.evaluate_every = Some(iterations);
        self
    }

    /// Set the optimizer's learning rate before each step.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = Some(schedule);
        self
    }

    /// End early when the loss no longer falls.
    #[must_use]
    pub fn early_stop(mut self, early_stop: EarlyStop) -> Self {
        self.early_stop = Some(early_stop);
        self
    }

    /// Whether to draw a progress bar (on standard error, if that is a terminal).
    #[must_use]
    pub fn progress(mut self, progress: bool) -> Self {
        self.progress = progress;
        self
    }

    /// Trains `network`, and returns its evaluations.
    ///
    /// # Errors
    /// What [`Batches`] and [`Network::train_step`] refuse, and settings out of range; all that
    /// can be known before the first step is refused before it.
    pub fn fit(
        &self,
        network: &mut Network,
        loss: &mut dyn Loss<f32>,
        optimizer: &mut dyn Optimizer<f32>,
        train: &Dataset,
        test: Option<&Dataset>,
    ) -> Result<History, Error> {
        let mut no_callback = |_: &Record, _: &Network| ControlFlow::Continue(());
        self.fit_with(network, loss, optimizer, train, test, &mut no_callback)
    }

    /// [`fit`](Self::fit) with a [`Callback`].
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_with(
        &self,
        network: &mut Network,
        loss: &mut dyn Loss<f32>,
        optimizer: &mut dyn Optimizer<f32>,
        train: &Dataset,
        test: Option<&Dataset>,
        callback: &mut dyn Callback,
    ) -> Result<History, Error> {
        let batches = self.checked(network, loss, train, test)?;
        let per_epoch = batches.batches_per_epoch() as u64;
        let total = match self.length {
            Length::Epochs(epochs) => epochs.saturating_mul(per_epoch),
            Length::Iterations(iterations) => iterations,
        };
        let mut run = Run {
            trainer: self,
            network,
            loss,
            optimizer,
            train,
            test,
            per_epoch,
            workspace: Workspace::default(),
            bar: self.progress_bar(total),
            start: Instant::now(),
            history: History::default(),
        };
        enter_pool(|| run.all_steps(batches, total, callback))?;
        run.bar.finish();
        Ok(run.history)
    }

    /// The batches, once everything that can be known to fail has been seen not to.
    fn checked<'d>(
        &self,
        network: &Network,
        loss: &dyn Loss<f32>,
        train: &'d Dataset,
        test: Option<&Dataset>,
    ) -> Result<Batches<'d>, Error> {
        if let Some(schedule) = &self.schedule {
            schedule.check()?;
        }
        let every = self.evaluate_every.unwrap_or(1);
        check_setting("evaluate_every", "at least 1", every as f64, every > 0)?;
        let batches = Batches::with_sampling(train, self.batch_size, self.sampling, self.seed)?;
        let width = train.images().ncols();
        let mut sizes = vec![self.batch_size.min(train.len())];
        let left_over = train.len() % self.batch_size;
        if self.sampling == Sampling::Permutation(LastBatch::Keep) && left_over > 0 {
            sizes.push(left_over);
        }
        for size in sizes {
            Layer::check_batch(network, size, width, Mode::Train)?;
        }
        for data in [Some(train), test].into_iter().flatten() {
            loss.check(data.len(), network.output().size(), data.labels().into())?;
            Layer::check_batch(network, data.len(), data.images().ncols(), Mode::Eval)?;
        }
        Ok(batches)
    }

    fn progress_bar(&self, total: u64) -> ProgressBar {
        if !self.progress {
            return ProgressBar::hidden();
        }
        let style = "{bar:30} {pos}/{len} steps, {elapsed} of {duration}{msg}";
        let bar = ProgressBar::new(total);
        match ProgressStyle::with_template(style) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }
}

/// One call of `fit`.
struct Run<'a> {
    trainer: &'a Trainer,
    network: &'a mut Network,
    loss: &'a mut dyn Loss<f32>,
    optimizer: &'a mut dyn Optimizer<f32>,
    train: &'a Dataset,
    test: Option<&'a Dataset>,
    per_epoch: u64,
    workspace: Workspace<f32>,
    bar: ProgressBar,
    start: Instant,
    history: History,
}

impl Run<'_> {
    fn all_steps(
        &mut self,
        mut batches: Batches<'_>,
        total: u64,
        callback: &mut dyn Callback,
    ) -> Result<(), Error> {
        let (mut iteration, mut loss_sum, mut losses) = (0, 0.0, 0u32);
        let (mut lowest, mut without_new_lowest) = (f64::INFINITY, 0);
        while iteration < total {
            let Some(batch) = batches.next_batch() else {
                continue; // the next epoch begins
            };
            if let Some(schedule) = &self.trainer.schedule {
                self.optimizer
                    .set_learning_rate(schedule.learning_rate(iteration));
            }
            let (x, t) = (batch.images, batch.labels.into());
            let loss = self.network.train_step(x, t, self.loss, self.optimizer)?;
            (loss_sum, losses) = (loss_sum + loss, losses + 1);
            iteration += 1;
            self.bar.inc(1);
            if callback.on_step(iteration, loss).is_break() {
                return Ok(());
            }
            let every = self.trainer.evaluate_every.unwrap_or(self.per_epoch);
            if !iteration.is_multiple_of(every) && iteration < total {
                continue;
            }
            let record = self.evaluate(iteration, loss_sum / f64::from(losses))?;
            (loss_sum, losses) = (0.0, 0);
            if callback.on_record(&record, self.network).is_break() {
                return Ok(());
            }
            if let Some(stop) = self.trainer.early_stop {
                let loss = record.test_loss.unwrap_or(record.train_loss);
                if loss < lowest - stop.min_delta {
                    (lowest, without_new_lowest) = (loss, 0);
                } else {
                    without_new_lowest += 1;
                }
                if without_new_lowest >= stop.patience.max(1) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, iteration: u64, train_loss: f64) -> Result<Record, Error> {
        let (network, workspace) = (&*self.network, &mut self.workspace);
        let train = self.train;
        let train_accuracy = network.accuracy_with(train.images(), train.labels(), workspace)?;
        let (mut test_loss, mut test_accuracy) = (None, None);
        if let Some(test) = self.test {
            let (x, labels) = (test.images(), test.labels());
            test_accuracy = Some(network.accuracy_with(x, labels, workspace)?);
            let loss = network.evaluate_loss(x, labels.into(), self.loss, workspace)?;
            test_loss = Some(loss);
        }
        let record = Record {
            epoch: iteration as f64 / self.per_epoch as f64,
            iteration,
            learning_rate: self.optimizer.learning_rate(),
            train_loss,
            train_accuracy,
            test_loss,
            test_accuracy,
            seconds: self.start.elapsed().as_secs_f64(),
        };
        let shown = record.test_accuracy.unwrap_or(record.train_accuracy);
        let message = format!(", loss {train_loss:.4}, accuracy {:.2} %", 100.0 * shown);
        self.bar.set_message(message);
        self.history.records.push(record);
        Ok(record)
    }
}
