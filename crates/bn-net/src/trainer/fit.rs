use super::{
    callback::Callback,
    history::{History, Record},
    progress::Progress,
    settings::{EarlyStop, Length},
};
use crate::{
    error::Error,
    loss::Loss,
    network::{Network, Workspace},
    optimizer::Optimizer,
    schedule::Schedule,
};
use bn_data::{Batches, Dataset, LastBatch, Sampling};
use bn_layers::Mode;
use bn_tensor::check_setting;
use ndarray::{ArrayView1, ArrayView2, Axis, Slice};
use std::{ops::ControlFlow, time::Instant};

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

    /// Train for this many epochs.
    #[must_use]
    pub fn epochs(mut self, epochs: u64) -> Self {
        self.length = Length::Epochs(epochs);
        self
    }

    /// Train for this many steps.
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

    /// Evaluate after every `iterations` steps instead of after each epoch.
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

    /// Whether to draw a progress bar on standard error, if that is a terminal. The bar needs the
    /// feature `progress`.
    #[must_use]
    pub fn progress(mut self, progress: bool) -> Self {
        self.progress = progress;
        self
    }

    /// Trains `network`, and returns its evaluations.
    ///
    /// # Errors
    /// What [`Batches`] and [`Network::train_step`] refuse, and settings out of range; all that
    /// can be known before the first step is refused before it: a copy of the network tries a batch of
    /// each size that will come.
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
            progress: Progress::new(total, self.progress),
            start: Instant::now(),
            history: History::default(),
        };
        run.all_steps(batches, total, callback)?;
        run.progress.finish();
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
        for data in [Some(train), test].into_iter().flatten() {
            loss.check(data.len(), network.output().size(), data.labels().into())?;
            network.predict(first_rows(data, 1))?;
        }
        let mut sizes = vec![self.batch_size.min(train.len())];
        let left_over = train.len() % self.batch_size;
        if self.sampling == Sampling::Permutation(LastBatch::Keep) && left_over > 0 {
            sizes.push(left_over);
        }
        // Each layer has rules of its own, such as two rows for a BatchNormalization: a copy tries.
        let mut copy = network.clone();
        for size in sizes {
            copy.forward(first_rows(train, size), Mode::BatchStats)?;
        }
        Ok(batches)
    }
}

fn first_rows(data: &Dataset, rows: usize) -> ArrayView2<'_, f32> {
    data.images().slice_axis_move(Axis(0), Slice::from(..rows))
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
    progress: Progress,
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
        let (mut iteration, mut loss_sum, mut examples) = (0, 0.0, 0);
        let (mut lowest, mut without_new_lowest) = (f64::INFINITY, 0);
        while iteration < total {
            let Some(batch) = batches.next_batch() else {
                continue; // the next epoch begins
            };
            if let Some(schedule) = &self.trainer.schedule {
                self.optimizer
                    .set_learning_rate(schedule.learning_rate(iteration))?;
            }
            let (x, t) = (batch.images, batch.labels.into());
            let loss = self.network.train_step(x, t, self.loss, self.optimizer)?;
            loss_sum += loss * x.nrows() as f64;
            examples += x.nrows();
            iteration += 1;
            self.progress.step();
            if callback.on_step(iteration, loss).is_break() {
                return Ok(());
            }
            let every = self.trainer.evaluate_every.unwrap_or(self.per_epoch);
            if !iteration.is_multiple_of(every) && iteration < total {
                continue;
            }
            let record = self.evaluate(iteration, loss_sum / examples as f64)?;
            (loss_sum, examples) = (0.0, 0);
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
        let loss = &*self.loss;
        let class_of = |row: ArrayView1<'_, f32>| loss.class_of(row);
        let (x, labels) = (self.train.images(), self.train.labels());
        let train_accuracy = network.share_correct(x, labels, &class_of, workspace)?;
        let (mut test_loss, mut test_accuracy) = (None, None);
        if let Some(test) = self.test {
            let (x, labels) = (test.images(), test.labels());
            test_accuracy = Some(network.share_correct(x, labels, &class_of, workspace)?);
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
        let accuracy = record.test_accuracy.unwrap_or(record.train_accuracy);
        self.progress.message(train_loss, accuracy);
        self.history.records.push(record);
        Ok(record)
    }
}
