//! Evaluations during training.

use super::{
    events,
    history::{MetricRecord, Record},
    run::Run,
};
use crate::error::Error;
use bn_data::Dataset;
use bn_layers::LayerExt;
use bn_tensor::Scalar;

/// The number of rows that are evaluated at a time.
const ROWS: usize = 10_000;

/// The loss on a data set and the values of the metrics there.
struct Evaluation {
    loss: f64,
    metrics: Vec<Option<f64>>, // `None` for one that is undefined
}

impl<T: Scalar> Run<'_, T> {
    /// Evaluates the network, or its average if there is one, and keeps the result.
    pub(super) fn evaluate(&mut self) -> Result<Record, Error> {
        self.swap_average();
        let result = self.evaluate_both();
        self.swap_average();
        let [train, test] = result?;
        let value = |of: &Option<Evaluation>, i: usize| of.as_ref().and_then(|e| e.metrics[i]);
        let metrics = self
            .metrics
            .iter()
            .enumerate()
            .map(|(i, metric)| MetricRecord {
                name: metric.name(),
                train: value(&train, i),
                test: value(&test, i),
                higher_is_better: metric.higher_is_better(),
            });
        let record = Record {
            epoch: self.state.iteration as f64 / self.steps_per_epoch as f64,
            iteration: self.state.iteration,
            learning_rate: self.optimizer.learning_rate(),
            train_loss: mean(self.state.loss_sum, self.state.weight_sum),
            test_loss: test.as_ref().map(|test| test.loss),
            metrics: metrics.collect(),
            seconds: self.seconds(),
        };
        (self.state.loss_sum, self.state.weight_sum) = (0.0, 0.0);
        self.progress.record(&record);
        events::record(&record);
        self.state.history.records.push(record.clone());
        Ok(record)
    }

    /// On the training set, if that is wanted, and on the test set.
    fn evaluate_both(&mut self) -> Result<[Option<Evaluation>; 2], Error> {
        let train = self.data.train.filter(|_| self.settings.evaluate_train);
        let train = train.map(|train| self.evaluate_on(train)).transpose()?;
        let test = self
            .data
            .test
            .map(|test| self.evaluate_on(test))
            .transpose()?;
        Ok([train, test])
    }

    fn evaluate_on(&mut self, data: &Dataset<T>) -> Result<Evaluation, Error> {
        let network = &*self.network;
        let (mut loss_sum, mut weight_sum) = (0.0, 0.0);
        self.metrics.iter_mut().for_each(|metric| metric.reset());
        for batch in data.chunks(ROWS)? {
            let y = network.predict_with(batch.images, &mut self.workspace)?;
            let weight = self.loss.weight(y.nrows(), y.ncols(), batch.targets);
            loss_sum += weight * self.loss.forward(y, batch.targets)?;
            weight_sum += weight;
            for metric in &mut self.metrics {
                metric.update(y, batch.targets)?;
            }
        }
        let of_all = match self.loss.is_sum() {
            true => loss_sum,
            false => mean(loss_sum, weight_sum),
        };
        let metrics = self.metrics.iter().map(|metric| metric.value());
        Ok(Evaluation {
            loss: of_all + network.penalty(),
            metrics: metrics.map(|v| v.is_finite().then_some(v)).collect(),
        })
    }
}

/// The mean; 0 if no example counts.
fn mean(sum: f64, weight: f64) -> f64 {
    match weight == 0.0 {
        true => 0.0,
        false => sum / weight,
    }
}
