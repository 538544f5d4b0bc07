//! The options that every example has.

use crate::picture::{self, Area};
use crate::{data, data::DataKind, interrupt, memory, output, values};
use anyhow::Result;
use batchnorm::{Pool, data::Dataset};
use clap::{Args, Command};
use serde_json::{Value, json};
use std::{
    io::Write,
    path::{Path, PathBuf},
    thread::available_parallelism,
    time::Instant,
};

#[derive(Debug, Args)]
pub struct CommonArgs {
    /// Seed of all random numbers; the same seed gives the same results on any number of threads
    #[arg(long, default_value_t = 42, value_parser = values::seed)]
    pub seed: u64,
    /// Data set
    #[arg(long, value_enum)]
    pub data: DataKind,
    /// Folder with the files of the data set, or with a folder of them such as emnist/ [default: the
    /// folder that the environment variable BN_DATA_DIR names, or else the cache folder, into which
    /// MNIST and Fashion-MNIST are downloaded]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
}

/// The options of an example that needs no data.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Number of threads [default: the number of processors]
    #[arg(long, value_parser = values::size(1, 1024))]
    threads: Option<usize>,
    /// Write the picture to this file, whose name ends in .png or .svg
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// Write all results as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl std::ops::Deref for CommonArgs {
    type Target = RunArgs;

    fn deref(&self) -> &RunArgs {
        &self.run
    }
}

/// The defaults that differ from example to example.
pub struct Defaults {
    pub data: &'static str,
    pub picture: Option<&'static str>,
}

impl Defaults {
    pub fn apply(self, command: Command) -> Command {
        let command = command.mut_arg("data", |arg| arg.required(false).default_value(self.data));
        match self.picture {
            Some(file) => default_picture(command, file),
            None => command,
        }
    }
}

/// Draws a picture to this file by default; its name ends in .png.
pub fn default_picture(command: Command, file: &'static str) -> Command {
    command.mut_arg("picture", |arg| match cfg!(feature = "png") {
        true => arg.default_value(file),
        false => arg.default_value(Path::new(file).with_extension("svg").into_os_string()),
    })
}

/// Takes `-1` as a value, so that the message says which values the option takes.
pub fn take_negative_numbers(command: Command) -> Command {
    command.mut_args(|arg| match arg.get_action().takes_values() {
        true => arg.allow_negative_numbers(true),
        false => arg,
    })
}

impl CommonArgs {
    /// The images to train and to test on.
    pub fn load(&self) -> Result<(Dataset, Dataset)> {
        data::load(self.data, self.data_dir.as_deref())
    }

    /// What the JSON of every example has.
    pub fn results(&self, start: Instant) -> Value {
        let mut results = self.run.results(start);
        results["data"] = json!(self.data.to_string());
        results["seed"] = json!(self.seed);
        results
    }
}

impl RunArgs {
    /// Refuses what would fail only at the end, and returns the pool to compute in.
    pub fn prepare(&self) -> Result<Pool> {
        if cfg!(debug_assertions) {
            let notice = "This is a debug build, about 30 times slower; run with --release (cargo run --release)";
            let _ = writeln!(std::io::stderr(), "{notice}");
        }
        interrupt::handle();
        if let Some(path) = &self.picture {
            picture::Format::of(path)?;
        }
        self.check_outputs(&[])?;
        let processors = || available_parallelism().map_or(1, usize::from);
        Ok(Pool::new(self.threads.unwrap_or_else(processors))?)
    }

    /// Checks that the picture, the JSON file and `more` can be written, each to its own file.
    pub fn check_outputs(&self, more: &[&Path]) -> Result<()> {
        let own = [&self.picture, &self.json].into_iter().flatten();
        let own = own.map(PathBuf::as_path);
        let all: Vec<&Path> = own.chain(more.iter().copied()).collect();
        output::check_different(&all)?;
        all.into_iter().try_for_each(output::check_writable)
    }

    /// What the JSON of every example has.
    pub fn results(&self, start: Instant) -> Value {
        json!({
            "threads": batchnorm::tensor::threads(),
            "seconds": start.elapsed().as_secs_f64(),
            "peak_rss_bytes": memory::peak_rss_bytes(),
        })
    }

    /// Writes the picture and the JSON file, if they are wanted, and prints their names. If one
    /// of them fails, the other one is written all the same.
    pub fn write(
        &self,
        results: &Value,
        size: (u32, u32),
        draw: impl FnOnce(&Area<'_>) -> Result<()>,
    ) -> Result<()> {
        let json = self.write_json(results);
        if let Some(path) = &self.picture {
            picture::save(path, size, draw)?;
            output::announce("Picture", path)?;
        }
        json
    }

    /// Writes the JSON file, if it is wanted, and prints its name.
    pub fn write_json(&self, results: &Value) -> Result<()> {
        let Some(path) = &self.json else {
            return Ok(());
        };
        let mut text = serde_json::to_string_pretty(results)?;
        text.push('\n');
        output::write_whole(path, text.as_bytes())?;
        output::announce("JSON", path)
    }
}
