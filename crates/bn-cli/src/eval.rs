//! `bn eval`.

use crate::{
    data::{DataArgs, describe},
    error::Error,
    model,
    model::Loaded,
    output::{Output, percent, table},
};
use bn_data::Dataset;
use bn_net::ConfusionMatrix;
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

/// The rows that are evaluated at a time.
const ROWS: usize = 1000;

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// The model: a file of bn train, a checkpoint, or an ONNX file
    #[arg(default_value = model::DEFAULT)]
    model: PathBuf,
    /// Evaluate on the rows of the model's data that it was not trained on, unless other data are given
    #[command(flatten)]
    data: EvalData,
}

/// As [`DataArgs`], but by default the data that the model was trained on.
#[derive(Debug, Args)]
struct EvalData {
    /// Other data than those of the model: of a named set its test part, of files all rows
    #[arg(long, value_name = "DATA")]
    data: Option<String>,
    /// Folder with the files of MNIST and the data sets like it
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The IDX file with the labels of an IDX file of images
    #[arg(long, value_name = "FILE", requires = "data")]
    labels: Option<PathBuf>,
    /// The column of a CSV file that has the labels
    #[arg(long, value_name = "COLUMN", requires = "data")]
    label_column: Option<String>,
    /// Read the first line of a CSV file as data
    #[arg(long, requires = "data")]
    no_header: bool,
    /// What values from a file are divided by
    #[arg(long, value_name = "X", value_parser = crate::values::above_zero, requires = "data")]
    max_value: Option<f64>,
}

pub(crate) fn report(args: &EvalArgs, output: Output) -> Result<(), Error> {
    let loaded = model::load(&args.model)?;
    let (name, part, data) = args.data.read(&loaded)?;
    let evaluation = Evaluation::of(&loaded, data)?;
    let json = evaluation.to_json(args, &loaded, &name, part);
    output.report(&json, || evaluation.to_text(&loaded, &name, part))
}

impl EvalData {
    /// The name of the data, of their part, and the rows.
    fn read(&self, loaded: &Loaded) -> Result<(String, &'static str, Dataset), Error> {
        let (of_model, seed) = loaded.origin();
        let Some(data) = &self.data else {
            let args = DataArgs {
                data_dir: self.data_dir.clone().or(of_model.data_dir.clone()),
                ..of_model
            };
            let source = args.read()?;
            // What was held out of a named set in training is less new than its test part.
            let (part, test) = match source.test {
                Some(test) => ("test part", test),
                None => {
                    let split = args.split(source, seed)?;
                    (split.test_name, split.test)
                }
            };
            return Ok((args.data, part, test));
        };
        let args = DataArgs {
            data: data.clone(),
            data_dir: self.data_dir.clone(),
            labels: self.labels.clone(),
            label_column: self.label_column.clone().unwrap_or(of_model.label_column),
            no_header: self.no_header,
            image_shape: None,
            max_value: self.max_value.or(of_model.max_value),
            validation: None,
        };
        let source = args.read()?;
        Ok(match source.test {
            Some(test) if args.is_named() => (args.data, "test part", test),
            _ => (args.data, "all rows", source.train),
        })
    }
}

/// How a model does on data.
struct Evaluation {
    description: String,
    rows: usize,
    loss: f64,
    confusion: ConfusionMatrix,
}

/// The scores of a class.
struct Score {
    precision: f64,
    recall: f64,
    rows: u64,
}

impl Evaluation {
    fn of(loaded: &Loaded, mut data: Dataset) -> Result<Self, Error> {
        let network = &loaded.model.network;
        let (values, outputs) = (network.input().size(), network.output().size());
        if data.images().ncols() != values {
            return Err(Error::input(
                format!(
                    "the model takes {} values, and the data are {}",
                    network.input(),
                    describe(&data)
                ),
                "give data of the model's kind with --data",
            ));
        }
        if data.classes() > outputs.max(2) {
            return Err(Error::input(
                format!(
                    "the data have {} classes, and the model {outputs}",
                    data.classes()
                ),
                "give data with the classes that the model was trained on",
            ));
        }
        let description = describe(&data);
        loaded.of_fractions()?.apply(data.images_mut())?;
        let mut confusion = ConfusionMatrix::new(outputs.max(2))?;
        let mut loss = 0.0;
        for batch in data.chunks(ROWS)? {
            let p = network.predict_proba(batch.images)?;
            for (p, &label) in p.rows().into_iter().zip(batch.labels()) {
                // One output is the probability of class 1.
                let of_label = match (outputs, label) {
                    (1, 0) => 1.0 - p[0],
                    (1, _) => p[0],
                    (_, label) => p[label],
                };
                loss -= f64::from(of_label.max(f32::MIN_POSITIVE)).ln();
                confusion.add(label, most_probable(p.iter().copied()));
            }
        }
        Ok(Self {
            description,
            rows: data.len(),
            loss: loss / data.len() as f64,
            confusion,
        })
    }

    fn scores(&self) -> Vec<Score> {
        let counts = self.confusion.counts();
        let share = |part: u64, of: u64| match of {
            0 => f64::NAN,
            of => part as f64 / of as f64,
        };
        let score = |class: usize| {
            let rows = counts.row(class).sum() + self.confusion.unclassified()[class];
            Score {
                precision: share(counts[[class, class]], counts.column(class).sum()),
                recall: share(counts[[class, class]], rows),
                rows,
            }
        };
        (0..counts.nrows()).map(score).collect()
    }

    fn to_text(&self, loaded: &Loaded, name: &str, part: &str) -> String {
        let counts = self.confusion.counts();
        let classes: Vec<String> = (0..counts.nrows())
            .map(|class| loaded.class(class))
            .collect();
        let mut rows = vec![vec!["label \\ predicted".to_owned()]];
        rows[0].extend(classes.iter().cloned());
        rows[0].extend(["precision", "recall", "rows"].map(str::to_owned));
        let share = |share: f64| match share.is_nan() {
            true => "-".to_owned(),
            false => percent(share),
        };
        for ((class, counts), score) in classes.iter().zip(counts.rows()).zip(self.scores()) {
            let mut row = vec![class.clone()];
            row.extend(counts.iter().map(ToString::to_string));
            row.extend([
                share(score.precision),
                share(score.recall),
                score.rows.to_string(),
            ]);
            rows.push(row);
        }
        format!(
            "{name}, {part}: {}\naccuracy {}, loss {:.4}\n\n{}",
            self.description,
            percent(self.confusion.accuracy()),
            self.loss,
            table(&rows)
        )
    }

    fn to_json(&self, args: &EvalArgs, loaded: &Loaded, name: &str, part: &str) -> Value {
        let scores = self.scores().into_iter().enumerate();
        // A share of nothing is null.
        let classes: Vec<Value> = scores
            .map(|(class, score)| {
                json!({
                    "name": loaded.class(class),
                    "precision": score.precision,
                    "recall": score.recall,
                    "rows": score.rows,
                })
            })
            .collect();
        let counts: Vec<Vec<u64>> = self
            .confusion
            .counts()
            .rows()
            .into_iter()
            .map(|row| row.to_vec())
            .collect();
        json!({
            "model": args.model,
            "data": name,
            "part": part,
            "rows": self.rows,
            "loss": self.loss,
            "accuracy": self.confusion.accuracy(),
            "classes": classes,
            "confusion": counts,
        })
    }
}

/// The class of the largest probability; of one probability 1 if it is above one half. `None` of a NaN.
pub(crate) fn most_probable(p: impl ExactSizeIterator<Item = f32>) -> Option<usize> {
    let is_single = p.len() == 1;
    let mut best = None;
    for (class, p) in p.enumerate() {
        if p.is_nan() {
            return None;
        }
        if best.is_none_or(|(_, most)| p > most) {
            best = Some((class, p));
        }
    }
    let (class, p) = best?;
    Some(if is_single {
        usize::from(p > 0.5)
    } else {
        class
    })
}
