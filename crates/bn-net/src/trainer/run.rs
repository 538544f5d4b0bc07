use super::{
    average::WeightAverage,
    callback::{Callback, Training},
    events,
    fit::Trainer,
    history::Record,
    progress::Progress,
    state::RunState,
    strategy::Strategy,
};
use crate::{
    error::Error,
    loss::Loss,
    metric::Metric,
    network::{Accumulator, Network, Workspace},
    optimizer::{Clip, Optimizer},
};
use bn_data::{BatchSource, Dataset};
use bn_tensor::Scalar;
use ndarray::CowArray;
use std::{ops::ControlFlow, sync::atomic::Ordering, time::Instant};

/// What a run is trained and evaluated on.
pub(super) struct Data<'a, T: Scalar> {
    pub(super) source: &'a mut dyn BatchSource<T>,
    pub(super) train: Option<&'a Dataset<T>>, // to evaluate on
    pub(super) test: Option<&'a Dataset<T>>,
}

/// One call of `fit`.
pub(super) struct Run<'a, T: Scalar> {
    pub(super) settings: &'a Trainer<T>,
    pub(super) network: &'a mut Network<T>,
    pub(super) loss: &'a mut dyn Loss<T>,
    pub(super) optimizer: &'a mut dyn Optimizer<T>,
    pub(super) data: Data<'a, T>,
    pub(super) metrics: Vec<Box<dyn Metric<T>>>,
    pub(super) steps: u64,
    pub(super) steps_per_epoch: u64,
    pub(super) evaluate_every: u64, // steps
    pub(super) state: RunState,
    pub(super) average: Option<WeightAverage<T>>,
    pub(super) best: Vec<T>, // the values of the best evaluation, if they are to be restored
    pub(super) accumulator: Accumulator<T>,
    pub(super) workspace: Workspace<T>,
    pub(super) progress: Progress,
    pub(super) start: Instant,
    pub(super) strategy: Option<&'a mut dyn Strategy<T>>, // if there are other processes
    pub(super) description: String, // of the run, if there are other processes
    pub(super) wants_to_stop: bool, // before the next step, as soon as all processes know
}

/// The loss of a step and its weight in a mean, or the end of the run.
type Step = ControlFlow<(), (f64, f64)>;

impl<T: Scalar> Run<'_, T> {
    pub(super) fn train(&mut self, callback: &mut dyn Callback<T>) -> Result<(), Error> {
        while self.state.iteration < self.steps && !self.state.is_over {
            self.set_learning_rate()?;
            let ControlFlow::Continue((loss, weight)) = self.step(callback)? else {
                return self.save();
            };
            self.state.loss_sum += weight * loss;
            self.state.weight_sum += weight;
            self.state.iteration += 1;
            if let Some(average) = &mut self.average {
                average.update(self.state.iteration, self.network)?;
            }
            self.progress.step();
            events::step(self.state.iteration, loss);
            let iteration = self.state.iteration;
            let is_last = callback
                .on_step(iteration, loss, self.training())
                .is_break();
            let is_due = |every: Option<u64>| every.is_some_and(|n| iteration.is_multiple_of(n));
            if is_due(Some(self.evaluate_every)) || iteration == self.steps {
                let record = self.evaluate()?;
                let flow = callback.on_record(&record, self.training());
                self.after(&record);
                self.save()?;
                if flow.is_break() && self.stop() {
                    return Ok(());
                }
            } else if is_due(self.settings.checkpoint_every) {
                self.save()?;
            }
            // After the evaluation of this step, which a run that continues would not repeat.
            let stop = self.settings.stop.as_ref();
            let is_last = is_last || stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
            if is_last && self.stop() {
                return self.save();
            }
        }
        Ok(())
    }

    /// Gives the network what it is to have at the end.
    pub(super) fn finish(&mut self) {
        self.progress.finish();
        let early_stop = self.settings.early_stop.as_ref();
        if early_stop.is_some_and(|stop| stop.restore_best) && !self.best.is_empty() {
            self.network.set_values(&self.best);
        } else if let Some(average) = &mut self.average {
            average.swap(self.network);
        }
    }

    pub(super) fn seconds(&self) -> f64 {
        self.state.seconds + self.start.elapsed().as_secs_f64()
    }

    fn set_learning_rate(&mut self) -> Result<(), Error> {
        let settings = self.settings;
        let base = match &settings.schedule {
            Some(schedule) => schedule.learning_rate(self.state.iteration),
            None if settings.plateau.is_some() => self.state.initial_lr,
            None => return Ok(()),
        };
        let least = settings
            .plateau
            .as_ref()
            .map_or(0.0, |plateau| plateau.min_lr);
        let reduced = (base * self.state.lr_factor).max(least.min(base));
        self.optimizer.set_learning_rate(reduced)
    }

    /// One update, by the gradients of one batch or of several.
    fn step(&mut self, callback: &mut dyn Callback<T>) -> Result<Step, Error> {
        let (clip, mut weight) = (self.settings.clip, 0.0);
        let position = self.data.source.state();
        let mut epoch_has_ended = false;
        loop {
            let batch = match self.data.source.next_batch() {
                Ok(Some(batch)) => batch,
                Ok(None) if self.accumulator.micro_batches() > 0 => break,
                Ok(None) if !epoch_has_ended => {
                    epoch_has_ended = true; // the next epoch begins
                    continue;
                }
                Ok(None) => return Err(bn_data::Error::Empty { op: "Trainer" }.into()),
                Err(error) => {
                    self.accumulator.cancel(self.network);
                    return Err(error.into());
                }
            };
            let training = Training {
                network: &mut *self.network,
                optimizer: &mut *self.optimizer,
            };
            let (mut images, t) = (CowArray::from(batch.images), batch.targets);
            let mut is_over = callback.on_batch(&mut images, t, training).is_break();
            if let Some(strategy) = &mut self.strategy {
                let (network, optimizer) = (&*self.network, &*self.optimizer);
                let stop = is_over || self.wants_to_stop;
                is_over =
                    strategy.begin(network, optimizer, &self.description, images.nrows(), stop)?;
            }
            if is_over {
                self.accumulator.cancel(self.network);
                self.data.source.restore(position)?; // a run that continues trains on this batch
                return Ok(ControlFlow::Break(()));
            }
            let x = images.view();
            let network = &mut *self.network;
            if self.settings.accumulate > 1 {
                let is_sum = self.loss.is_sum();
                let gradient = |network: &mut Network<T>| match &mut self.strategy {
                    Some(strategy) => strategy.gradient(network, x, t, self.loss),
                    None => network.weighted_gradient(x, t, self.loss),
                };
                weight += self.accumulator.add_from(network, is_sum, gradient)?.weight;
                if self.accumulator.micro_batches() == self.settings.accumulate {
                    break;
                }
                continue;
            }
            let mut update = |network: &mut Network<T>| before_update(network, clip, callback);
            let optimizer = &mut *self.optimizer;
            if let Some(strategy) = &mut self.strategy {
                let value =
                    strategy.train_step(network, x, t, self.loss, optimizer, &mut update)?;
                return Ok(ControlFlow::Continue((value.loss, value.weight)));
            }
            let weight = self.loss.weight(x.nrows(), network.output().size(), t);
            let loss = network.train_step_with(x, t, self.loss, optimizer, update)?;
            return Ok(ControlFlow::Continue((loss, weight)));
        }
        let update = |network: &mut Network<T>| before_update(network, clip, callback);
        let loss = self
            .accumulator
            .step(self.network, self.optimizer, update)?;
        Ok(ControlFlow::Continue((loss, weight)))
    }

    /// Returns whether to stop now; several processes stop together, before the next step.
    fn stop(&mut self) -> bool {
        self.wants_to_stop = true;
        self.strategy.is_none()
    }

    fn training(&mut self) -> Training<'_, T> {
        Training {
            network: self.network,
            optimizer: self.optimizer,
        }
    }

    /// What an evaluation leads to.
    fn after(&mut self, record: &Record) {
        let state = &mut self.state;
        if let Some(stop) = &self.settings.early_stop {
            let is_best = state.best.improves(record, &stop.monitor, stop.min_delta);
            if is_best && stop.restore_best {
                self.swap_average();
                self.network.copy_values(&mut self.best);
                self.swap_average();
            }
            self.state.is_over = self.state.best.evaluations_since >= stop.patience.max(1);
        }
        let state = &mut self.state;
        if let Some(plateau) = &self.settings.plateau {
            state
                .plateau
                .improves(record, &plateau.monitor, plateau.min_delta);
            if state.plateau.evaluations_since >= plateau.patience.max(1) {
                state.lr_factor *= plateau.factor;
                state.plateau.evaluations_since = 0;
            }
        }
    }

    /// Exchanges the network's values and their average, if there is one.
    pub(super) fn swap_average(&mut self) {
        if let Some(average) = &mut self.average {
            average.swap(self.network);
        }
    }
}

fn before_update<T: Scalar>(
    network: &mut Network<T>,
    clip: Option<Clip>,
    callback: &mut dyn Callback<T>,
) -> Result<(), Error> {
    callback.on_gradient(network)?;
    if let Some(clip) = clip {
        clip.apply(network)?;
    }
    Ok(())
}
