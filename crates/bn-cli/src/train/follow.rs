use bn_data::Targets;
use bn_net::{Callback, Error, History, Network, Record, Training};
use ndarray::{CowArray, Ix2};
use std::ops::ControlFlow;

/// Keeps the evaluations, also of a run that fails, and calls another callback.
pub(super) struct Follow<'a> {
    pub(super) history: History,
    other: Option<&'a mut dyn Callback>,
}

impl<'a> Follow<'a> {
    pub(super) fn new(other: Option<&'a mut dyn Callback>) -> Self {
        Self {
            history: History::default(),
            other,
        }
    }
}

impl Callback for Follow<'_> {
    fn on_batch(
        &mut self,
        images: &mut CowArray<'_, f32, Ix2>,
        targets: Targets<'_, f32>,
        training: Training<'_, f32>,
    ) -> ControlFlow<()> {
        match &mut self.other {
            Some(other) => other.on_batch(images, targets, training),
            None => ControlFlow::Continue(()),
        }
    }

    fn on_gradient(&mut self, network: &mut Network) -> Result<(), Error> {
        match &mut self.other {
            Some(other) => other.on_gradient(network),
            None => Ok(()),
        }
    }

    fn on_step(
        &mut self,
        iteration: u64,
        loss: f64,
        training: Training<'_, f32>,
    ) -> ControlFlow<()> {
        match &mut self.other {
            Some(other) => other.on_step(iteration, loss, training),
            None => ControlFlow::Continue(()),
        }
    }

    fn on_record(&mut self, record: &Record, training: Training<'_, f32>) -> ControlFlow<()> {
        self.history.records.push(record.clone());
        match &mut self.other {
            Some(other) => other.on_record(record, training),
            None => ControlFlow::Continue(()),
        }
    }
}
