//! The options that every example has.

use super::{data, data::DataKind, memory, output, picture, picture::Area};
use anyhow::Result;
use batchnorm::{Pool, data::Dataset};
use clap::{Args, Command};
use serde_json::{Value, json};
use std::{path::PathBuf, thread::available_parallelism, time::Instant};

#[derive(Debug, Args)]
pub(crate) struct CommonArgs {
    /// Seed of every random choice: the same seed gives the same figures at any number of threads
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Images to use: the digits are part of the library, the others are files
    #[arg(long, value_enum)]
    pub(crate) data: DataKind,
    /// Folder with the files of MNIST or Fashion-MNIST [default: the folder that the variable
    /// BN_DATA_DIR names, else the cache folder, into which they are downloaded]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
}

/// Those of them that need no data.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Threads to compute with [default: one for each processor]
    #[arg(long)]
    threads: Option<usize>,
    /// Where to draw the picture, a .png or an .svg
    #[arg(long, value_name = "FILE")]
    pub(crate) picture: Option<PathBuf>,
    /// Where to write every figure of the run
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl std::ops::Deref for CommonArgs {
    type Target = RunArgs;

    fn deref(&self) -> &RunArgs {
        &self.run
    }
}

/// The defaults that differ from example to example.
pub(crate) struct Defaults {
    pub(crate) data: &'static str,
    pub(crate) picture: Option<&'static str>,
}

impl Defaults {
    pub(crate) fn apply(self, command: Command) -> Command {
        command
            .mut_arg("data", |arg| arg.required(false).default_value(self.data))
            .mut_arg("picture", |arg| match self.picture {
                Some(file) => arg.default_value(file),
                None => arg,
            })
    }
}

impl CommonArgs {
    /// The images to train and to test on.
    pub(crate) fn load(&self) -> Result<(Dataset, Dataset)> {
        data::load(self.data, self.data_dir.as_deref())
    }

    /// What every `--json` begins with.
    pub(crate) fn figures(&self, start: Instant) -> Value {
        let mut figures = self.run.figures(start);
        figures["data"] = json!(self.data.to_string());
        figures["seed"] = json!(self.seed);
        figures
    }
}

impl RunArgs {
    /// Refuses at the start what would fail at the end; the pool to compute in.
    pub(crate) fn prepare(&self) -> Result<Pool> {
        if let Some(path) = &self.picture {
            picture::Format::of(path)?;
        }
        for path in [&self.picture, &self.json].into_iter().flatten() {
            output::check_writable(path)?;
        }
        let processors = || available_parallelism().map_or(1, usize::from);
        Ok(Pool::new(self.threads.unwrap_or_else(processors))?)
    }

    /// What every `--json` begins with.
    pub(crate) fn figures(&self, start: Instant) -> Value {
        json!({
            "threads": batchnorm::tensor::threads(),
            "seconds": start.elapsed().as_secs_f64(),
            "peak_rss_bytes": memory::peak_rss_bytes(),
        })
    }

    /// Draws `--picture`, if it is wanted.
    pub(crate) fn draw(
        &self,
        size: (u32, u32),
        draw: impl FnOnce(&Area<'_>) -> Result<()>,
    ) -> Result<()> {
        match &self.picture {
            Some(path) => picture::save(path, size, draw),
            None => Ok(()),
        }
    }

    /// Where the picture is, to be added to the last line that an example prints.
    pub(crate) fn picture_note(&self) -> String {
        let path = self.picture.as_ref();
        path.map_or_else(String::new, |path| format!(" Picture: {}", path.display()))
    }

    /// Writes `--json`, if it is wanted.
    pub(crate) fn write_json(&self, figures: &Value) -> Result<()> {
        let Some(path) = &self.json else {
            return Ok(());
        };
        let mut text = serde_json::to_string_pretty(figures)?;
        text.push('\n');
        output::write_whole(path, text.as_bytes())
    }
}
