use super::{
    average::{Averaging, WeightAverage},
    callback::Callback,
    history::{History, Record},
    monitor::{EarlyStop, ReduceOnPlateau},
    progress::Progress,
    run::{Data, Run},
    settings::Length,
    state::RunState,
    strategy::Strategy,
};
use crate::{
    error::Error,
    loss::Loss,
    metric::Metric,
    network::{Accumulator, Network, Workspace},
    optimizer::{Clip, Optimizer},
    schedule::Schedule,
};
use bn_data::{Augmentation, Augmented, BatchSource, Batches, Dataset, LastBatch, Sampling};
use bn_tensor::Scalar;
use std::{
    ops::ControlFlow,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

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
/// assert!(history.last().unwrap().test_accuracy().unwrap() > 0.85);
/// # Ok::<(), bn_net::Error>(())
/// ```
///
/// The targets may be labels, one-hot rows, several labels at once or values, whatever the loss takes; the
/// loss also chooses the [metrics](Self::metrics) unless they are set.
///
/// The same seed, network and data give the same bits on any number of threads.
#[derive(Debug, Clone)]
pub struct Trainer<T: Scalar = f32> {
    pub(super) length: Length,
    pub(super) batch_size: usize,
    pub(super) sampling: Sampling,
    pub(super) seed: u64,
    pub(super) evaluate_every: Option<u64>,
    pub(super) evaluate_train: bool,
    pub(super) metrics: Option<Vec<Box<dyn Metric<T>>>>,
    pub(super) augmentation: Option<Augmentation>,
    pub(super) accumulate: usize,
    pub(super) clip: Option<Clip>,
    pub(super) schedule: Option<Schedule>,
    pub(super) plateau: Option<ReduceOnPlateau>,
    pub(super) averaging: Option<Averaging>,
    pub(super) early_stop: Option<EarlyStop>,
    pub(super) checkpoint: Option<PathBuf>,
    pub(super) checkpoint_every: Option<u64>,
    pub(super) stop: Option<Arc<AtomicBool>>,
    pub(super) progress: bool,
}

impl<T: Scalar> Trainer<T> {
    /// Trains for one epoch in batches of `batch_size` images. Each image is used once per epoch,
    /// the images left over join the last batch, the network is evaluated after each epoch, the
    /// seed is 0, and progress is shown.
    pub fn new(batch_size: usize) -> Self {
        Self {
            length: Length::Epochs(1),
            batch_size,
            sampling: Sampling::Permutation(LastBatch::Merge),
            seed: 0,
            evaluate_every: None,
            evaluate_train: true,
            metrics: None,
            augmentation: None,
            accumulate: 1,
            clip: None,
            schedule: None,
            plateau: None,
            averaging: None,
            early_stop: None,
            checkpoint: None,
            checkpoint_every: None,
            stop: None,
            progress: true,
        }
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
        network: &mut Network<T>,
        loss: &mut dyn Loss<T>,
        optimizer: &mut dyn Optimizer<T>,
        train: &Dataset<T>,
        test: Option<&Dataset<T>>,
    ) -> Result<History, Error> {
        let mut no_callback = |_: &Record, _: &Network<T>| ControlFlow::Continue(());
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
        network: &mut Network<T>,
        loss: &mut dyn Loss<T>,
        optimizer: &mut dyn Optimizer<T>,
        train: &Dataset<T>,
        test: Option<&Dataset<T>>,
        callback: &mut dyn Callback<T>,
    ) -> Result<History, Error> {
        self.fit_parts(network, loss, optimizer, train, test, callback, None)
    }

    /// [`fit_with`](Self::fit_with) of one of several processes, which train the same network together: each
    /// on its part of each batch, with the same epochs and batches as one process alone. Each process
    /// evaluates on all of the data, so that it decides what the others decide; one of them shows progress
    /// and writes the checkpoint, from which any number of processes can continue.
    ///
    /// # Errors
    /// As [`fit`](Self::fit), and those of the [`Strategy`].
    #[allow(clippy::too_many_arguments)] // those of `fit_with`, and the strategy
    pub fn fit_together(
        &self,
        network: &mut Network<T>,
        loss: &mut dyn Loss<T>,
        optimizer: &mut dyn Optimizer<T>,
        train: &Dataset<T>,
        test: Option<&Dataset<T>>,
        callback: &mut dyn Callback<T>,
        strategy: &mut dyn Strategy<T>,
    ) -> Result<History, Error> {
        self.fit_parts(
            network,
            loss,
            optimizer,
            train,
            test,
            callback,
            Some(strategy),
        )
    }

    #[allow(clippy::too_many_arguments)]
    fn fit_parts(
        &self,
        network: &mut Network<T>,
        loss: &mut dyn Loss<T>,
        optimizer: &mut dyn Optimizer<T>,
        train: &Dataset<T>,
        test: Option<&Dataset<T>>,
        callback: &mut dyn Callback<T>,
        strategy: Option<&mut dyn Strategy<T>>,
    ) -> Result<History, Error> {
        let mut batches = Batches::with_sampling(train, self.batch_size, self.sampling, self.seed)?;
        if let Some(strategy) = &strategy {
            batches = batches.with_part(strategy.part())?;
        }
        let mut augmented;
        let source: &mut dyn BatchSource<T> = match &self.augmentation {
            None => &mut batches,
            Some(augmentation) => {
                augmented = Augmented::new(batches, *augmentation)?;
                &mut augmented
            }
        };
        let data = Data {
            source,
            train: Some(train),
            test,
        };
        self.run(network, loss, optimizer, data, callback, strategy)
    }

    /// [`fit_with`](Self::fit_with) on batches of any source, such as a data set that is larger than memory.
    /// The batch size, the sampling, the seed and the augmentation are then those of the source, not of the
    /// trainer. Metrics are evaluated on the test set only.
    ///
    /// ```
    /// use bn_data::{Batches, Digits};
    /// use bn_net::{History, Network, Sgd, SoftmaxWithLoss, Trainer};
    /// let (train, test) = Digits::load()?.into_parts();
    /// let mut network = Network::builder(64).affine(32).batch_norm().relu().affine(10).build(1)?;
    /// let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1)?);
    /// let (mut batches, mut records) = (Batches::new(&train, 64, 1)?, History::default());
    /// let trainer = Trainer::new(64).epochs(5);
    /// trainer.fit_batches(&mut network, &mut loss, &mut sgd, &mut batches, Some(&test), &mut records)?;
    /// assert!(records.last().unwrap().test_accuracy().unwrap() > 0.85);
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`fit`](Self::fit), and those of the source.
    pub fn fit_batches(
        &self,
        network: &mut Network<T>,
        loss: &mut dyn Loss<T>,
        optimizer: &mut dyn Optimizer<T>,
        batches: &mut dyn BatchSource<T>,
        test: Option<&Dataset<T>>,
        callback: &mut dyn Callback<T>,
    ) -> Result<History, Error> {
        let data = Data {
            source: batches,
            train: None,
            test,
        };
        self.run(network, loss, optimizer, data, callback, None)
    }

    fn run(
        &self,
        network: &mut Network<T>,
        loss: &mut dyn Loss<T>,
        optimizer: &mut dyn Optimizer<T>,
        data: Data<'_, T>,
        callback: &mut dyn Callback<T>,
        strategy: Option<&mut dyn Strategy<T>>,
    ) -> Result<History, Error> {
        let metrics = self.metrics.clone().unwrap_or_else(|| loss.metrics());
        self.check(network, loss, &data, &metrics)?;
        let updates = data.source.batches_per_epoch().div_ceil(self.accumulate);
        let steps_per_epoch = updates.max(1) as u64;
        let steps = match self.length {
            Length::Epochs(epochs) => epochs.saturating_mul(steps_per_epoch),
            Length::Iterations(iterations) => iterations,
        };
        let is_writer = strategy.as_ref().is_none_or(|s| s.is_writer());
        let description = match strategy {
            Some(_) => self.description(data.source.batches_per_epoch(), steps),
            None => String::new(),
        };
        let mut run = Run {
            settings: self,
            state: RunState::new(optimizer.learning_rate()),
            average: self.averaging.map(WeightAverage::new).transpose()?,
            best: Vec::new(),
            network,
            loss,
            optimizer,
            data: Data {
                source: &mut *data.source,
                ..data
            },
            metrics,
            steps,
            steps_per_epoch,
            description,
            wants_to_stop: false,
            evaluate_every: self.evaluate_every.unwrap_or(steps_per_epoch),
            accumulator: Accumulator::default(),
            workspace: Workspace::default(),
            progress: Progress::new(steps, self.progress && is_writer),
            strategy: match strategy {
                Some(strategy) => Some(strategy), // for no longer than the run
                None => None,
            },
            start: Instant::now(),
        };
        run.resume()?;
        run.train(callback)?;
        run.finish();
        Ok(run.state.history)
    }
}
