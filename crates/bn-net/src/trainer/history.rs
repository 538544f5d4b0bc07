use crate::{error::Error, file::write_whole};
use serde::Serialize;
use std::{io::Write, path::Path};

/// One evaluation during training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Record {
    /// Epochs done, in parts where evaluations come between.
    pub epoch: f64,
    /// Steps done.
    pub iteration: u64,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// The mean loss of the examples trained on since the evaluation before.
    pub train_loss: f64,
    /// The accuracy on the training set, in evaluation.
    pub train_accuracy: f64,
    /// The loss on the test set, in evaluation.
    pub test_loss: Option<f64>,
    /// The accuracy on the test set.
    pub test_accuracy: Option<f64>,
    /// Seconds since training began, evaluations included.
    pub seconds: f64,
}

/// All evaluations of a training run, in order.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct History {
    /// The evaluations.
    pub records: Vec<Record>,
}

impl History {
    /// The last evaluation.
    pub fn last(&self) -> Option<&Record> {
        self.records.last()
    }

    /// The highest accuracy on the test set.
    pub fn best_test_accuracy(&self) -> Option<f64> {
        let accuracies = self.records.iter().filter_map(|r| r.test_accuracy);
        accuracies.max_by(f64::total_cmp)
    }

    /// Writes a table with a header, one row for each record; a missing value is an empty cell.
    /// The file appears whole or not at all.
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

    /// Writes `{"records": [{…}, …]}`; a missing value is null. The file appears whole or not at
    /// all.
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
