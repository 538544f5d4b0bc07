//! Training by epochs: a progress bar on a terminal, a line for each epoch, the evaluations, and
//! how a picture shows them.

use crate::interrupt;
use crate::line_chart::{Axis, Line};
use crate::style::{BLUE, ORANGE, percent, progress_bar};
use anyhow::Result;
use batchnorm::net::{Callback, History, Loss, Optimizer, Record, Training};
use batchnorm::{Adam, Network, Schedule, SoftmaxWithLoss, Trainer, data::Dataset};
use indicatif::ProgressBar;
use std::{
    io::{self, Write},
    ops::ControlFlow,
    path::Path,
};

pub struct Epochs<'a> {
    /// What each line begins with.
    pub name: &'a str,
    pub count: u64,
    pub batch_size: usize,
    pub seed: u64,
    /// An epoch that ends earlier than this has no line.
    pub quiet_seconds: f64,
    /// The file from which the run continues if it exists, and which is written after each epoch.
    pub checkpoint: Option<&'a Path>,
}

impl Epochs<'_> {
    /// Trains `network` as a classifier. Returns the evaluation after each epoch, also if training
    /// failed later.
    pub fn train(
        &self,
        network: &mut Network,
        optimizer: &mut dyn Optimizer<f32>,
        schedule: Option<Schedule>,
        train: &Dataset,
        test: &Dataset,
    ) -> (History, Result<()>) {
        let mut trainer = self.trainer();
        if let Some(schedule) = schedule {
            trainer = trainer.schedule(schedule);
        }
        let mut loss = SoftmaxWithLoss::new();
        self.fit(&trainer, network, &mut loss, optimizer, train, test)
    }

    /// A trainer with these settings, to which others can be added.
    pub fn trainer(&self) -> Trainer {
        let trainer = Trainer::new(self.batch_size)
            .epochs(self.count)
            .seed(self.seed)
            .progress(false); // the log has a bar, which it can hide while it prints a line
        match self.checkpoint {
            Some(path) => trainer.checkpoint(path),
            None => trainer,
        }
    }

    /// Trains `network` with a trainer that [`trainer`](Self::trainer) returned. Returns the
    /// evaluation after each epoch, also if training failed later. If there is a checkpoint, Ctrl-C
    /// writes it before it ends the program.
    pub fn fit(
        &self,
        trainer: &Trainer,
        network: &mut Network,
        loss: &mut dyn Loss<f32>,
        optimizer: &mut dyn Optimizer<f32>,
        train: &Dataset,
        test: &Dataset,
    ) -> (History, Result<()>) {
        let held = self.checkpoint.map(|_| interrupt::hold());
        let mut log = Log {
            epochs: self,
            bar: progress_bar(self.steps(train), "steps"),
            history: History::default(),
            printed: Ok(()),
        };
        let trained = trainer.fit_with(network, loss, optimizer, train, Some(test), &mut log);
        log.bar.finish_and_clear();
        if let Some(held) = held {
            held.release();
        }
        match trained {
            // A run that continued has the evaluations before it too.
            Ok(history) => (history, log.printed.map_err(Into::into)),
            Err(error) => (log.history, Err(error.into())),
        }
    }

    /// [`train`](Self::train) with Adam, whose learning rate falls from `lr` to 0 along a cosine.
    pub fn train_with_adam(
        &self,
        lr: f64,
        network: &mut Network,
        train: &Dataset,
        test: &Dataset,
    ) -> (History, Result<()>) {
        let schedule = Schedule::Cosine {
            lr,
            steps: self.steps(train),
            min_lr: 0.0,
        };
        match Adam::pytorch(lr) {
            Ok(mut adam) => self.train(network, &mut adam, Some(schedule), train, test),
            Err(error) => (History::default(), Err(error.into())),
        }
    }

    /// The number of training steps.
    pub fn steps(&self, train: &Dataset) -> u64 {
        let per_epoch = (train.len() / self.batch_size).max(1) as u64;
        self.count.saturating_mul(per_epoch)
    }
}

struct Log<'a> {
    epochs: &'a Epochs<'a>,
    bar: ProgressBar,
    history: History,
    printed: io::Result<()>,
}

impl Callback for Log<'_> {
    fn on_step(&mut self, iteration: u64, _: f64, _: Training<'_, f32>) -> ControlFlow<()> {
        self.bar.set_position(iteration);
        match interrupt::requested() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn on_record(&mut self, record: &Record, _: Training<'_, f32>) -> ControlFlow<()> {
        self.history.records.push(record.clone());
        if record.seconds < self.epochs.quiet_seconds {
            return ControlFlow::Continue(());
        }
        let Epochs { name, count, .. } = self.epochs;
        let width = count.to_string().len();
        self.printed = self.bar.suspend(|| {
            writeln!(
                io::stdout(),
                "{name}epoch {:>width$} of {count}: training loss {:.4}, {}{:.1} s",
                record.epoch,
                record.train_loss,
                metric(record),
                record.seconds,
            )
        });
        match self.printed {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

/// The first metric, such as `accuracy 98.12 % (training), 97.34 % (test), `.
fn metric(record: &Record) -> String {
    let Some(metric) = record.metrics.first() else {
        return String::new();
    };
    let mut text = metric.name.clone();
    for (value, data) in [(metric.train, "training"), (metric.test, "test")] {
        let Some(value) = value else { continue };
        text += &match metric.name.as_str() {
            "accuracy" => format!(" {} ({data}),", percent(value, 2)),
            _ => format!(" {value:.4} ({data}),"),
        };
    }
    text + " "
}

pub fn train_accuracy(record: &Record) -> f64 {
    record.train_accuracy().unwrap_or(f64::NAN)
}

pub fn test_accuracy(record: &Record) -> f64 {
    record.test_accuracy().unwrap_or(f64::NAN)
}

/// A line for the training images, if they were evaluated, and one for the test images: `value` of
/// their accuracies.
pub fn lines(history: &History, value: fn(f64) -> f64) -> Vec<Line<'static>> {
    let line = |name, accuracy: fn(&Record) -> f64, color, dashed| {
        let records = history.records.iter();
        Line {
            name,
            points: records.map(|r| (r.epoch, value(accuracy(r)))).collect(),
            color,
            dashed,
        }
    };
    let test = line("test images", test_accuracy, BLUE, false);
    match history.last().and_then(Record::train_accuracy) {
        Some(_) => vec![line("training images", train_accuracy, ORANGE, true), test],
        None => vec![test],
    }
}

/// From the first epoch to the last one, with whole numbers only.
pub fn axis(history: &History) -> Axis<'static> {
    let last = history.records.len() as f64;
    Axis {
        name: "epoch",
        // A single epoch is in the middle.
        range: if last > 1.0 { 1.0..last } else { 0.0..2.0 },
        ticks: 8,
        format: &whole,
    }
}

fn whole(x: &f64) -> String {
    match (x - x.round()).abs() < 1e-9 {
        true => format!("{x:.0}"),
        false => String::new(),
    }
}
