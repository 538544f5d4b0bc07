use crate::{error::Error, file::write_whole};
use serde::{Deserialize, Serialize};
use std::{io::Write, path::Path};

/// One evaluation during training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The number of epochs so far; fractional between two epochs.
    pub epoch: f64,
    /// The number of steps so far.
    pub iteration: u64,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// The mean loss of all examples trained on since the previous evaluation.
    pub train_loss: f64,
    /// The loss on the test set, in [`Mode::Eval`](bn_layers::Mode::Eval).
    pub test_loss: Option<f64>,
    /// The metrics, in [`Mode::Eval`](bn_layers::Mode::Eval).
    pub metrics: Vec<MetricRecord>,
    /// Seconds since training began, including evaluations.
    pub seconds: f64,
}

/// The values of a metric in a [`Record`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricRecord {
    /// The metric's name, such as `accuracy`.
    pub name: String,
    /// Its value on the training set; `None` if it was not evaluated there, or is undefined.
    pub train: Option<f64>,
    /// The same on the test set.
    pub test: Option<f64>,
    /// Whether a higher value is better.
    pub higher_is_better: bool,
}

impl Record {
    /// The metric of this name on the training set.
    pub fn train(&self, metric: &str) -> Option<f64> {
        self.metrics.iter().find(|m| m.name == metric)?.train
    }

    /// The metric of this name on the test set.
    pub fn test(&self, metric: &str) -> Option<f64> {
        self.metrics.iter().find(|m| m.name == metric)?.test
    }

    /// The accuracy on the training set, from 0 to 1, of a classifier.
    pub fn train_accuracy(&self) -> Option<f64> {
        self.train(ACCURACY)
    }

    /// The accuracy on the test set, from 0 to 1, of a classifier.
    pub fn test_accuracy(&self) -> Option<f64> {
        self.test(ACCURACY)
    }
}

const ACCURACY: &str = "accuracy";

/// The evaluations of a training run, in order.
///
/// It is also a [`Callback`](super::Callback): [`Trainer::fit_with`](super::Trainer::fit_with)
/// shows how to keep the evaluations of a run that fails.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct History {
    /// The evaluations.
    pub records: Vec<Record>,
}

impl History {
    /// Returns the last evaluation.
    pub fn last(&self) -> Option<&Record> {
        self.records.last()
    }

    /// Returns the highest accuracy on the test set.
    pub fn best_test_accuracy(&self) -> Option<f64> {
        let accuracies = self.records.iter().filter_map(Record::test_accuracy);
        accuracies.max_by(f64::total_cmp)
    }

    /// Writes a table with a header and one row per record; a missing value is an empty cell. Each metric
    /// has two columns, such as `train_accuracy` and `test_accuracy`. If writing fails, the file is as it
    /// was before.
    ///
    /// # Errors
    /// [`Error::Write`].
    #[cfg(feature = "csv")]
    pub fn write_csv(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let cell = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        write_whole(path.as_ref(), |file| {
            let mut writer = csv::Writer::from_writer(file);
            let mut header: Vec<String> = [
                "epoch",
                "iteration",
                "learning_rate",
                "train_loss",
                "test_loss",
            ]
            .map(str::to_owned)
            .into();
            let metrics = self.records.first().map_or(&[][..], |r| &r.metrics);
            header.extend(
                metrics
                    .iter()
                    .flat_map(|m| [format!("train_{}", m.name), format!("test_{}", m.name)]),
            );
            header.push("seconds".to_owned());
            writer
                .write_record(&header)
                .map_err(std::io::Error::other)?;
            for r in &self.records {
                let mut row = vec![
                    r.epoch.to_string(),
                    r.iteration.to_string(),
                    r.learning_rate.to_string(),
                    r.train_loss.to_string(),
                    cell(r.test_loss),
                ];
                row.extend(r.metrics.iter().flat_map(|m| [cell(m.train), cell(m.test)]));
                row.push(r.seconds.to_string());
                writer.write_record(&row).map_err(std::io::Error::other)?;
            }
            writer.flush()
        })
    }

    /// Writes `{"records": [{…}, …]}`; a missing value is null. If writing fails, the file is as
    /// it was before.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write_json(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        write_whole(path.as_ref(), |file| {
            serde_json::to_writer_pretty(&mut *file, self)?;
            file.write_all(b"\n")
        })
    }
}
