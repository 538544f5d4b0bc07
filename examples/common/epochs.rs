//! Training by epochs: a progress bar on a terminal, a line for each epoch, the evaluations, and
//! how a picture shows them.

use crate::line_chart::{Axis, Line};
use crate::style::{BLUE, ORANGE, percent, progress_bar};
use anyhow::Result;
use batchnorm::net::{Callback, History, Optimizer, Record, Training};
use batchnorm::{Adam, Network, Schedule, SoftmaxWithLoss, Trainer, data::Dataset};
use indicatif::ProgressBar;
use std::{
    io::{self, Write},
    ops::ControlFlow,
};

pub struct Epochs<'a> {
    /// What each line begins with.
    pub name: &'a str,
    pub count: u64,
    pub batch_size: usize,
    pub seed: u64,
    /// An epoch that ends earlier than this has no line.
    pub quiet_seconds: f64,
}

impl Epochs<'_> {
    /// Trains `network`. Returns the evaluation after each epoch, also if training failed later.
    pub fn train(
        &self,
        network: &mut Network,
        optimizer: &mut dyn Optimizer<f32>,
        schedule: Option<Schedule>,
        train: &Dataset,
        test: &Dataset,
    ) -> (History, Result<()>) {
        let mut trainer = Trainer::new(self.batch_size)
            .epochs(self.count)
            .seed(self.seed)
            .progress(false); // the log has a bar, which it can hide while it prints a line
        if let Some(schedule) = schedule {
            trainer = trainer.schedule(schedule);
        }
        let mut log = Log {
            epochs: self,
            bar: progress_bar(self.steps(train), "steps"),
            history: History::default(),
            printed: Ok(()),
        };
        let mut loss = SoftmaxWithLoss::new();
        let trained = trainer.fit_with(network, &mut loss, optimizer, train, Some(test), &mut log);
        log.bar.finish_and_clear();
        let result = match trained {
            Ok(_) => log.printed.map_err(Into::into),
            Err(error) => Err(error.into()),
        };
        (log.history, result)
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

    fn steps(&self, train: &Dataset) -> u64 {
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
    fn on_step(&mut self, _: u64, _: f64, _: Training<'_, f32>) -> ControlFlow<()> {
        self.bar.inc(1);
        ControlFlow::Continue(())
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
                "{name}epoch {:>width$} of {count}: training loss {:.4}, accuracy {} (training), {} (test), {:.1} s",
                record.epoch,
                record.train_loss,
                percent(train_accuracy(record), 2),
                percent(test_accuracy(record), 2),
                record.seconds,
            )
        });
        match self.printed {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

pub fn train_accuracy(record: &Record) -> f64 {
    record.train_accuracy().unwrap_or(f64::NAN)
}

pub fn test_accuracy(record: &Record) -> f64 {
    record.test_accuracy().unwrap_or(f64::NAN)
}

/// A line for the training images and one for the test images: `value` of their accuracies.
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
    vec![
        line("training images", train_accuracy, ORANGE, true),
        line("test images", test_accuracy, BLUE, false),
    ]
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
