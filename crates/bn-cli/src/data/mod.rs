//! The data sets: by name, or from files.

mod files;
mod named;
mod shape;

use crate::{error::Error, values};
use bn_data::{Dataset, Targets};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

use named::Named;
pub use shape::ImageShape;

/// The share of the rows that are held out if the data have no test part.
const HELD_OUT: f64 = 0.2;

/// More classes are a mistake, such as a column that has no labels.
const MOST_CLASSES: usize = 100_000;

/// Where data come from. Values are fractions: pixels from 0 to 1.
#[derive(Debug, Clone, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DataArgs {
    /// digits, mnist, fashion, kmnist, qmnist, emnist-SPLIT, or a path: a folder with a folder of PNG or JPEG images for
    /// each class, or a .csv, .npz or IDX file
    ///
    /// digits is part of the program. MNIST and Fashion-MNIST are downloaded if --data-dir does not have them. SPLIT is
    /// balanced, byclass, bymerge, digits, letters or mnist. An .npz has the arrays x and y, or x_train, y_train, x_test
    /// and y_test.
    #[arg(long, value_name = "DATA", default_value = "digits")]
    pub data: String,
    /// Folder with the files of MNIST and the data sets like it [default: that of the environment variable
    /// BN_DATA_DIR, or else the cache folder]
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// The IDX file with the labels of an IDX file of images
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// The column of a CSV file that has the labels, whole numbers from 0: its name, or its position from 0
    #[arg(long, value_name = "COLUMN", default_value = "label")]
    pub label_column: String,
    /// Read the first line of a CSV file as data
    #[arg(long)]
    #[serde(default)]
    pub no_header: bool,
    /// The size of the images whose pixels are the columns of a table, such as 28x28 or 32x32x3
    #[arg(long, value_name = "HxW[xC]")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_shape: Option<ImageShape>,
    /// What values from a file are divided by [default: 255 for bytes and images, 1 for tables]
    #[arg(long, value_name = "X", value_parser = values::above_zero)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_value: Option<f64>,
    /// Hold out this share of the rows of each class, instead of the test part [default: 0.2 if the data have none]
    #[arg(long, value_name = "SHARE", value_parser = values::share)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
}

impl Default for DataArgs {
    fn default() -> Self {
        Self {
            data: "digits".to_owned(),
            data_dir: None,
            labels: None,
            label_column: "label".to_owned(),
            no_header: false,
            image_shape: None,
            max_value: None,
            validation: None,
        }
    }
}

/// A data set as it was read.
pub(crate) struct Source {
    /// Values are divided by `max_value`.
    pub(crate) train: Dataset,
    pub(crate) test: Option<Dataset>,
    pub(crate) max_value: f64,
    /// The names of the classes; empty if they have none.
    pub(crate) classes: Vec<String>,
}

/// Rows to train on and others.
pub(crate) struct Split {
    pub(crate) train: Dataset,
    pub(crate) test: Dataset,
    /// What the others are, such as `test part`.
    pub(crate) test_name: &'static str,
}

impl DataArgs {
    /// Whether the data have a name, and not a path.
    pub(crate) fn is_named(&self) -> bool {
        Named::parse(&self.data).is_some()
    }

    pub(crate) fn read(&self) -> Result<Source, Error> {
        let source = match Named::parse(&self.data) {
            Some(named) => named.read(self.data_dir.as_deref())?,
            None => files::read(self, Path::new(&self.data))?,
        };
        for part in [Some(&source.train), source.test.as_ref()]
            .into_iter()
            .flatten()
        {
            if !matches!(part.targets(), Targets::Labels(_)) {
                return Err(Error::input(
                    format!("{} has values as targets, not labels", self.data),
                    "give whole numbers from 0 as labels: bn trains and evaluates classifiers",
                ));
            }
            if part.classes() > MOST_CLASSES {
                return Err(Error::input(
                    format!("{} has the label {}", self.data, part.classes() - 1),
                    "labels are the numbers of classes, from 0",
                ));
            }
            if part.is_empty() {
                return Err(Error::input(
                    format!("{} has no rows", self.data),
                    "give at least two rows, of two classes",
                ));
            }
        }
        Ok(source)
    }

    /// The rows to train on, and the test part or those that are held out; the same for the same seed.
    pub(crate) fn split(&self, source: Source, seed: u64) -> Result<Split, Error> {
        let Source { train, test, .. } = source;
        match (self.validation, test) {
            (None, Some(test)) => Ok(Split {
                train,
                test,
                test_name: "test part",
            }),
            (share, _) => {
                let (train, test) = train.split_stratified(share.unwrap_or(HELD_OUT), seed)?;
                Ok(Split {
                    train,
                    test,
                    test_name: "held-out rows",
                })
            }
        }
    }
}

/// As in `382 images of 8×8` and `30 rows of 4 values`.
pub(crate) fn describe(data: &Dataset) -> String {
    let n = data.len();
    match data.image_shape() {
        (1, 1, columns) => format!("{n} rows of {columns} values"),
        (height, width, 1) => format!("{n} images of {height}×{width}"),
        (height, width, channels) => format!("{n} images of {height}×{width}×{channels}"),
    }
}
