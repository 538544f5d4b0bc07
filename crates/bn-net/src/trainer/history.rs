use crate::{error::Error, file::write_whole};
use serde::Serialize;
use std::{io::Write, path::Path};

/// One evaluation during training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Record {
    /// The number of epochs so far; fractional between two epochs.
    pub epoch: f64,
    /// The number of steps so far.
    pub iteration: u64,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// The mean loss of all examples trained on since the previous evaluation.
    pub train_loss: f64,
    /// The accuracy on the training set, from 0 to 1, in [`Mode::Eval`](bn_layers::Mode::Eval).
    pub train_accuracy: f64,
    /// The loss on the test set, in [`Mode::Eval`](bn_layers::Mode::Eval).
    pub test_loss: Option<f64>,
    /// The accuracy on the test set, from 0 to 1.
    pub test_accuracy: Option<f64>,
    /// Seconds since training began, including evaluations.
    pub seconds: f64,
}

/// The evaluations of a training run, in order.
///
/// It is also a [`Callback`](super::Callback): [`Trainer::fit_with`](super::Trainer::fit_with)
/// shows how to keep the evaluations of a run that fails.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
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
        let accuracies = self.records.iter().filter_map(|r| r.test_accuracy);
        accuracies.max_by(f64::total_cmp)
    }

    /// Writes a table with a header and one row per record; a missing value is an empty cell.
    /// If writing fails, the file is as it was before.
    ///
    /// # Errors
    /// [`Error::Write`].
    #[cfg(feature = "csv")]
    pub fn write_csv(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        write_whole(path.as_ref(), |file| {
            let mut writer = csv::Writer::from_writer(file);
            for record in &self.records {
                writer.serialize(record).map_err(std::io::Error::other)?;
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
