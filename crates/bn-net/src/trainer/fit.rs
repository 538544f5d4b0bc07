use super::{
    callback::Callback,
    history::{History, Record},
    progress::Progress,
    run::Run,
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
use ndarray::{ArrayView2, Axis, Slice};
use std::{ops::ControlFlow, time::Instant};

/// Trains a [`Network`] on a [`Dataset`] in mini-batches and evaluates it at regular intervals.
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
/// The same seed, network and data give the same bits on any number of threads.
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
    /// Trains for one epoch in batches of `batch_size` images. Each image is used once per epoch,
    /// the images left over join the last batch, the network is evaluated after each epoch, the
    /// seed is 0, and a progress bar is drawn on a terminal.
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

    /// Sets the number of epochs to train for.
    #[must_use]
    pub fn epochs(mut self, epochs: u64) -> Self {
        self.length = Length::Epochs(epochs);
        self
    }

    /// Sets the number of steps to train for.
    #[must_use]
    pub fn iterations(mut self, iterations: u64) -> Self {
        self.length = Length::Iterations(iterations);
        self
    }

    /// Sets how batches are drawn. With [`LastBatch::Keep`], [`fit`](Self::fit) fails if the last
    /// batch of a network with BatchNormalization has a single image.
    #[must_use]
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// Sets the seed of the batches.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Evaluates the network after every `iterations` steps instead of after each epoch.
    #[must_use]
    pub fn evaluate_every(mut self, iterations: u64) -> Self {
        self.evaluate_every = Some(iterations);
        self
    }

    /// Sets the optimizer's learning rate before each step.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = Some(schedule);
        self
    }

    /// Ends training early when the loss no longer falls.
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

    /// Trains `network` and returns its evaluations.
    ///
    /// # Errors
    /// If a setting is out of range or the data do not fit the network, nothing is trained. (A
    /// copy of the network first tries a batch of each size that will occur.) If a step fails
    /// later, for example because the loss is not finite, network and optimizer are as they were
    /// after the step before it. To keep the evaluations of a run that fails, use
    /// [`fit_with`](Self::fit_with) and a [`History`].
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

    /// [`fit`](Self::fit) with a [`Callback`], such as a [`History`], which keeps the evaluations
    /// also if training fails:
    ///
    /// ```
    /// use bn_data::Digits;
    /// use bn_net::{History, Network, Sgd, SoftmaxWithLoss, Trainer};
    /// let (train, _) = Digits::load()?.into_parts();
    /// let mut network = Network::builder(64).affine(10).build(1)?;
    /// // The learning rate is far too high: the second step overflows.
    /// let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(3e38)?);
    /// let trainer = Trainer::new(100).epochs(9).evaluate_every(1);
    ///
    /// let mut history = History::default();
    /// let result = trainer.fit_with(&mut network, &mut loss, &mut sgd, &train, None, &mut history);
    /// assert!(result.is_err());
    /// assert_eq!(history.records.len(), 1);
    /// # Ok::<(), bn_net::Error>(())
    /// ```
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
        let steps_per_epoch = batches.batches_per_epoch() as u64;
        let steps = match self.length {
            Length::Epochs(epochs) => epochs.saturating_mul(steps_per_epoch),
            Length::Iterations(iterations) => iterations,
        };
        let mut run = Run {
            network,
            loss,
            optimizer,
            train,
            test,
            schedule: self.schedule.as_ref(),
            early_stop: self.early_stop,
            steps,
            steps_per_epoch,
            evaluate_every: self.evaluate_every.unwrap_or(steps_per_epoch),
            workspace: Workspace::default(),
            progress: Progress::new(steps, self.progress),
            start: Instant::now(),
            history: History::default(),
        };
        run.train(batches, callback)?;
        run.progress.finish();
        Ok(run.history)
    }

    /// Checks everything that can be known before the first step, and returns the batches.
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
        if let Some(early_stop) = self.early_stop {
            early_stop.check()?;
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
        // Each layer has its own rules, such as two rows for a BatchNormalization. A copy tries.
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
