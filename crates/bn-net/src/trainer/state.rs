//! What a run keeps from step to step, and how it continues from a file.

use super::{events, history::History, monitor::Best, run::Run};
use crate::{error::Error, file::Checkpoint};
use bn_data::BatchState;
use bn_tensor::Scalar;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a run keeps from step to step, besides network, optimizer and arrays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RunState {
    pub(super) iteration: u64,
    pub(super) initial_lr: f64,
    pub(super) lr_factor: f64, // of the plateaus so far
    pub(super) loss_sum: f64,  // Σ weight·loss since the last evaluation
    pub(super) weight_sum: f64,
    pub(super) best: Best,
    pub(super) plateau: Best,
    pub(super) is_over: bool, // ended early
    pub(super) seconds: f64,
    pub(super) history: History,
}

impl RunState {
    pub(super) fn new(initial_lr: f64) -> Self {
        Self {
            iteration: 0,
            initial_lr,
            lr_factor: 1.0,
            loss_sum: 0.0,
            weight_sum: 0.0,
            best: Best::default(),
            plateau: Best::default(),
            is_over: false,
            seconds: 0.0,
            history: History::default(),
        }
    }
}

/// The position in the data, from which all random draws of the batches and the augmentation follow, and the settings
/// that must be the same when a run continues.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Position {
    seed: u64,
    epoch: u64,
    position: usize,
    batches_per_epoch: usize,
    accumulate: usize,
    #[serde(default)] // older files do not have it
    settings: Option<Settings>,
}

/// Settings as JSON.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Settings {
    batch_sizes: Value,
    schedule: Value,
    augmentation: Value,
}

impl Position {
    /// The settings with their names in messages.
    fn settings(&self) -> Vec<(&'static str, Value)> {
        let mut settings = vec![
            ("the seed", json!(self.seed)),
            (
                "the number of batches of an epoch",
                json!(self.batches_per_epoch),
            ),
            ("the number of accumulated batches", json!(self.accumulate)),
        ];
        if let Some(others) = &self.settings {
            settings.extend([
                ("the size of the batches", others.batch_sizes.clone()),
                ("the schedule", others.schedule.clone()),
                ("the augmentation", others.augmentation.clone()),
            ]);
        }
        settings
    }
}

/// The names in a checkpoint.
const NETWORK: &str = "network";
const OPTIMIZER: &str = "optimizer";
const STATE: &str = "trainer";
const POSITION: &str = "position";
const AVERAGE: &str = "average";
const AVERAGED: &str = "averaged";
const BEST: &str = "best";

impl<T: Scalar> Run<'_, T> {
    /// Writes the checkpoint, if there is to be one.
    pub(super) fn save(&mut self) -> Result<(), Error> {
        let is_writer = self.strategy.as_ref().is_none_or(|s| s.is_writer());
        let Some(path) = self.settings.checkpoint.as_ref().filter(|_| is_writer) else {
            return Ok(());
        };
        self.state.seconds = self.seconds();
        let mut checkpoint = Checkpoint::new();
        checkpoint.add_network(NETWORK, &*self.network)?;
        checkpoint.add_optimizer(OPTIMIZER, self.optimizer)?;
        checkpoint.add_value(STATE, &self.state)?;
        checkpoint.add_value(POSITION, &self.position())?;
        if let Some(average) = &self.average {
            let (values, count) = average.parts();
            checkpoint.add_array(AVERAGE, &[values.len()], values)?;
            checkpoint.add_value(AVERAGED, &count)?;
        }
        checkpoint.add_array(BEST, &[self.best.len()], &self.best)?;
        checkpoint.save(path)
    }

    /// Continues from the checkpoint, if there is one. After an error nothing has changed.
    pub(super) fn resume(&mut self) -> Result<(), Error> {
        let Some(path) = &self.settings.checkpoint else {
            return Ok(());
        };
        let checkpoint = match &mut self.strategy {
            Some(strategy) => strategy.read(path)?.map(|b| Checkpoint::from_bytes(&b)),
            None => path.exists().then(|| Checkpoint::load(path)),
        };
        let Some(checkpoint) = checkpoint.transpose()? else {
            return Ok(());
        };
        let stored: Position = checkpoint.value(POSITION)?;
        let now = self.position();
        for ((what, stored), (_, now)) in stored.settings().into_iter().zip(now.settings()) {
            if stored != now {
                let file = path.display();
                return Err(Error::Checkpoint {
                    reason: format!(
                        "{what} of the run in {file} is {stored}, but that of this run is {now}; \
                         use the same settings, or another file"
                    ),
                });
            }
        }
        let state: RunState = checkpoint.value(STATE)?;
        let count = self.network.value_count();
        let values = |name: &str| -> Result<Vec<T>, Error> {
            let values: Vec<T> = checkpoint.array(name)?.into_iter().collect();
            match [0, count].contains(&values.len()) {
                true => Ok(values),
                false => Err(Error::Checkpoint {
                    reason: format!("{name} has {} values, not {count}", values.len()),
                }),
            }
        };
        let best = values(BEST)?;
        let average = match self.average {
            Some(_) => Some((values(AVERAGE)?, checkpoint.value(AVERAGED)?)),
            None => None,
        };
        let network = checkpoint.network_state(NETWORK, &*self.network)?;
        let position = BatchState {
            seed: stored.seed,
            epoch: stored.epoch,
            position: stored.position,
        };
        let before = self.data.source.state();
        self.data.source.restore(position)?;
        if let Err(error) = checkpoint.restore_optimizer(OPTIMIZER, self.optimizer, &*self.network)
        {
            self.data.source.restore(before)?;
            return Err(error);
        }
        network.give_to(self.network);
        if let (Some(of_run), Some((values, count))) = (&mut self.average, average) {
            of_run.restore(values, count);
        }
        self.best = best;
        self.progress.resume(state.iteration);
        events::resumed(state.iteration);
        self.state = state;
        Ok(())
    }

    fn position(&self) -> Position {
        let BatchState {
            seed,
            epoch,
            position,
        } = self.data.source.state();
        Position {
            seed,
            epoch,
            position,
            batches_per_epoch: self.data.source.batches_per_epoch(),
            accumulate: self.settings.accumulate,
            settings: Some(Settings {
                batch_sizes: json!(self.data.source.batch_sizes()),
                schedule: json!(self.settings.schedule),
                augmentation: json!(self.settings.augmentation),
            }),
        }
    }
}
