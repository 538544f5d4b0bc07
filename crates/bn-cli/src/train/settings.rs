//! The settings of a run.

use crate::{data::DataArgs, model, values};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The options of `bn train`.
#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Read options from this TOML file, such as `epochs = 5` and `hidden = [100, 50]`; an option of the command line
    /// wins
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print the settings as such a file, and do not train
    #[arg(long)]
    pub(crate) print_config: bool,
}

/// The kind of network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum NetworkKind {
    /// Affine layers, each with Batch Normalization, ReLU and Dropout
    Mlp,
    /// 3×3 convolutions with Batch Normalization and ReLU; all but the first halve the image
    Cnn,
    /// A residual network, whose stages have one block each
    Resnet,
}

/// The kind of optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OptimizerKind {
    /// Stochastic gradient descent
    Sgd,
    /// SGD with momentum
    Momentum,
    /// SGD with Nesterov's momentum
    Nesterov,
    /// AdaGrad
    Adagrad,
    /// RMSprop
    Rmsprop,
    /// Adam
    Adam,
    /// Adam with decoupled weight decay
    Adamw,
}

/// How the learning rate changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ScheduleKind {
    /// It does not
    Constant,
    /// It falls to 0 along a cosine
    Cosine,
    /// It falls to a tenth after each third of the run
    Step,
    /// It rises in the first 30 % of the run and falls to nearly 0
    OneCycle,
}

/// Everything that determines a run: the options of `bn train`, with their defaults.
///
/// ```
/// let settings = bn_cli::Settings::default();
/// assert_eq!((settings.epochs, settings.batch_size), (20, 64));
/// ```
#[derive(Debug, Clone, PartialEq, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Settings {
    /// Where the data come from.
    #[command(flatten)]
    #[serde(flatten)]
    pub data: DataArgs,
    /// Network
    #[arg(long, value_enum, default_value = "mlp")]
    pub network: NetworkKind,
    /// Values of the hidden layers, or filters of the convolutions or stages [default: 100,100 or 16,32,64]
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', value_parser = values::size,
          action = clap::ArgAction::Set)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<usize>,
    /// Use Batch Normalization [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true",
          default_missing_value = "true", hide_default_value = true, action = clap::ArgAction::Set,
          overrides_with = "no_batch_norm")]
    pub batch_norm: bool,
    /// Train without Batch Normalization
    #[arg(long, overrides_with = "batch_norm")]
    #[serde(skip)]
    pub no_batch_norm: bool,
    /// Share of the hidden values that Dropout sets to 0 in training
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = values::below_one)]
    pub dropout: f64,
    /// Optimizer
    #[arg(long, value_enum, default_value = "adam")]
    pub optimizer: OptimizerKind,
    /// Learning rate [default: 0.1 of sgd, 0.05 of momentum and nesterov, 0.01 of adagrad, 0.003 of the others]
    #[arg(long, value_name = "RATE", value_parser = values::above_zero)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// Momentum of momentum and nesterov
    #[arg(long, value_name = "SHARE", default_value_t = 0.9, value_parser = values::below_one)]
    pub momentum: f64,
    /// How the learning rate changes
    #[arg(long, value_enum, default_value = "cosine")]
    pub schedule: ScheduleKind,
    /// Weight decay: decoupled with adamw, with the other optimizers part of the loss
    #[arg(long, value_name = "X", default_value_t = 0.0, value_parser = values::at_least_zero)]
    pub weight_decay: f64,
    /// Passes over the data
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = values::positive)]
    pub epochs: u64,
    /// Rows of a training step
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = values::size)]
    pub batch_size: usize,
    /// Seed of all random numbers; the same seed gives the same model on any number of threads
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Shift and rotate the training images at random
    #[arg(long)]
    pub augment: bool,
    /// Subtract from each value its mean over the training rows and divide by its deviation [default: true for tables]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standardize: Option<bool>,
    /// Write the model to this file
    #[arg(long, short, value_name = "FILE", default_value = model::DEFAULT)]
    pub output: PathBuf,
    /// Write the run to this file after each epoch and at the end, to continue from
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<PathBuf>,
    /// Continue from the checkpoint, if it exists
    #[arg(long, requires = "checkpoint")]
    pub resume: bool,
    /// Write the evaluation after each epoch to this file, whose name ends in .csv or .json
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data: DataArgs::default(),
            network: NetworkKind::Mlp,
            hidden: Vec::new(),
            batch_norm: true,
            no_batch_norm: false,
            dropout: 0.0,
            optimizer: OptimizerKind::Adam,
            lr: None,
            momentum: 0.9,
            schedule: ScheduleKind::Cosine,
            weight_decay: 0.0,
            epochs: 20,
            batch_size: 64,
            seed: 0,
            augment: false,
            standardize: None,
            output: model::DEFAULT.into(),
            checkpoint: None,
            resume: false,
            history: None,
        }
    }
}

impl Settings {
    pub(super) fn has_batch_norm(&self) -> bool {
        self.batch_norm && !self.no_batch_norm
    }

    /// The sizes of the hidden layers.
    pub(super) fn sizes(&self) -> &[usize] {
        match (&self.hidden[..], self.network) {
            ([], NetworkKind::Mlp) => &[100, 100],
            ([], _) => &[16, 32, 64],
            (given, _) => given,
        }
    }

    pub(super) fn learning_rate(&self) -> f64 {
        self.lr.unwrap_or(match self.optimizer {
            OptimizerKind::Sgd => 0.1,
            OptimizerKind::Momentum | OptimizerKind::Nesterov => 0.05,
            OptimizerKind::Adagrad => 0.01,
            OptimizerKind::Rmsprop | OptimizerKind::Adam | OptimizerKind::Adamw => 0.003,
        })
    }
}
