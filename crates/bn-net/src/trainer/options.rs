//! The settings of a trainer, one method each.

use super::{
    average::Averaging,
    fit::Trainer,
    monitor::{EarlyStop, ReduceOnPlateau},
    settings::Length,
};
use crate::{metric::Metric, optimizer::Clip, schedule::Schedule};
use bn_data::{Augmentation, Sampling};
use bn_tensor::Scalar;
use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

impl<T: Scalar> Trainer<T> {
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

    /// Sets how batches are drawn. With [`LastBatch::Keep`](bn_data::LastBatch::Keep), [`fit`](Self::fit)
    /// fails if the last batch of a network with BatchNormalization has a single image.
    #[must_use]
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// Sets the seed of the batches and of the augmentation.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Changes the images of each batch at random.
    #[must_use]
    pub fn augment(mut self, augmentation: Augmentation) -> Self {
        self.augmentation = Some(augmentation);
        self
    }

    /// Evaluates the network after every `iterations` steps instead of after each epoch.
    #[must_use]
    pub fn evaluate_every(mut self, iterations: u64) -> Self {
        self.evaluate_every = Some(iterations);
        self
    }

    /// Whether evaluations compute the metrics on the training set too, which takes a pass through all of
    /// it. By default they do.
    #[must_use]
    pub fn evaluate_train(mut self, evaluate_train: bool) -> Self {
        self.evaluate_train = evaluate_train;
        self
    }

    /// Sets the metrics, instead of those of the loss ([`Loss::metrics`](crate::Loss::metrics)).
    #[must_use]
    pub fn metrics(mut self, metrics: Vec<Box<dyn Metric<T>>>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Makes one update from the gradients of `batches` batches; see
    /// [`Accumulator`](crate::Accumulator), also for what a BatchNormalization does. The last update of an
    /// epoch may use fewer.
    #[must_use]
    pub fn accumulate(mut self, batches: usize) -> Self {
        self.accumulate = batches;
        self
    }

    /// Clips the gradients before each update.
    #[must_use]
    pub fn clip(mut self, clip: Clip) -> Self {
        self.clip = Some(clip);
        self
    }

    /// Sets the optimizer's learning rate before each step.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = Some(schedule);
        self
    }

    /// Reduces the learning rate when evaluations no longer improve.
    #[must_use]
    pub fn reduce_on_plateau(mut self, plateau: ReduceOnPlateau) -> Self {
        self.plateau = Some(plateau);
        self
    }

    /// Averages the parameters and running statistics. Evaluations use the average, and at the end the
    /// network has it.
    #[must_use]
    pub fn average(mut self, averaging: Averaging) -> Self {
        self.averaging = Some(averaging);
        self
    }

    /// Ends training early when evaluations no longer improve, and may bring back the best parameters.
    #[must_use]
    pub fn early_stop(mut self, early_stop: EarlyStop) -> Self {
        self.early_stop = Some(early_stop);
        self
    }

    /// Saves the run to this file after each evaluation and at the end: network, optimizer, position in the
    /// data, and all that the other settings keep. If the file exists when training begins, the run
    /// continues from it and gives the same bits as one that was never interrupted, also in the middle of an
    /// epoch (Keras' `BackupAndRestore`). Network, optimizer, data and settings must be those of the
    /// interrupted run; only the length may differ. What a callback keeps is not stored.
    ///
    /// ```
    /// use bn_data::Digits;
    /// use bn_net::{Adam, Network, SoftmaxWithLoss, Trainer};
    /// let (train, _) = Digits::load()?.into_parts();
    /// let folder = tempfile::tempdir()?;
    /// let trainer = Trainer::new(64).checkpoint(folder.path().join("run.safetensors"));
    /// let fit = |trainer: Trainer| {
    ///     let mut network = Network::builder(64).affine(10).build(1)?;
    ///     let (mut loss, mut adam) = (SoftmaxWithLoss::new(), Adam::book(0.01)?);
    ///     trainer.fit(&mut network, &mut loss, &mut adam, &train, None)
    /// };
    /// fit(trainer.clone().iterations(30))?;
    /// let history = fit(trainer.iterations(50))?; // 20 more steps
    /// assert_eq!(history.last().unwrap().iteration, 50);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn checkpoint(mut self, path: impl Into<PathBuf>) -> Self {
        self.checkpoint = Some(path.into());
        self
    }

    /// Also saves the [checkpoint](Self::checkpoint) after every `iterations` steps.
    #[must_use]
    pub fn checkpoint_every(mut self, iterations: u64) -> Self {
        self.checkpoint_every = Some(iterations);
        self
    }

    /// Ends the run after the current step when `stop` becomes true, for example in a handler of Ctrl-C. A
    /// [checkpoint](Self::checkpoint) is saved first.
    #[must_use]
    pub fn stop_when(mut self, stop: Arc<AtomicBool>) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Whether to show progress on standard error: a bar on a terminal, elsewhere a line for each
    /// evaluation. It needs the feature `progress`.
    #[must_use]
    pub fn progress(mut self, progress: bool) -> Self {
        self.progress = progress;
        self
    }
}
