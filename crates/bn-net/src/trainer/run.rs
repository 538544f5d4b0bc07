use super::{
    callback::Callback,
    history::{History, Record},
    progress::Progress,
    settings::EarlyStop,
};
use crate::{
    error::Error,
    loss::Loss,
    network::{Network, Workspace},
    optimizer::Optimizer,
    schedule::Schedule,
};
use bn_data::{Batches, Dataset};
use ndarray::ArrayView1;
use std::time::Instant;

/// One call of `fit`.
pub(super) struct Run<'a> {
    pub(super) network: &'a mut Network,
    pub(super) loss: &'a mut dyn Loss<f32>,
    pub(super) optimizer: &'a mut dyn Optimizer<f32>,
    pub(super) train: &'a Dataset,
    pub(super) test: Option<&'a Dataset>,
    pub(super) schedule: Option<&'a Schedule>,
    pub(super) early_stop: Option<EarlyStop>,
    pub(super) steps: u64,
    pub(super) steps_per_epoch: u64,
    pub(super) evaluate_every: u64, // steps
    pub(super) workspace: Workspace<f32>,
    pub(super) progress: Progress,
    pub(super) start: Instant,
    pub(super) history: History,
}

impl Run<'_> {
    pub(super) fn train(
        &mut self,
        mut batches: Batches<'_>,
        callback: &mut dyn Callback,
    ) -> Result<(), Error> {
        let (mut iteration, mut loss_sum, mut examples) = (0, 0.0, 0);
        let (mut lowest, mut without_new_lowest) = (f64::INFINITY, 0);
        while iteration < self.steps {
            let Some(batch) = batches.next_batch() else {
                continue; // the next epoch begins
            };
            if let Some(schedule) = self.schedule {
                self.optimizer
                    .set_learning_rate(schedule.learning_rate(iteration))?;
            }
            let (x, t) = (batch.images, batch.targets);
            let loss = self.network.train_step(x, t, self.loss, self.optimizer)?;
            loss_sum += loss * x.nrows() as f64;
            examples += x.nrows();
            iteration += 1;
            self.progress.step();
            if callback.on_step(iteration, loss).is_break() {
                return Ok(());
            }
            if !iteration.is_multiple_of(self.evaluate_every) && iteration < self.steps {
                continue;
            }
            let record = self.evaluate(iteration, loss_sum / examples as f64)?;
            (loss_sum, examples) = (0.0, 0);
            if callback.on_record(&record, self.network).is_break() {
                return Ok(());
            }
            if let Some(stop) = self.early_stop {
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
            epoch: iteration as f64 / self.steps_per_epoch as f64,
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
