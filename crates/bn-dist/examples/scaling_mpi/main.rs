//! How a training step scales with the number of ranks. `measure` is a job of `mpirun`, whose rank 0 writes a file;
//! `report` compares such files, draws them, and predicts larger jobs. `make scaling-mpi` does both.

mod cases;
mod measure;
mod model;
mod report;

use anyhow::Result;
use bn_dist::World;
use clap::Parser;
use std::{path::PathBuf, process::ExitCode};

/// Measure how a training step scales with the number of ranks
#[derive(Debug, Parser)]
enum Command {
    /// Measure, on each rank of a job of mpirun, and append the results to a file (rank 0)
    Measure {
        /// The file, one JSON object a line
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Steps of each case
        #[arg(long, default_value_t = 15)]
        steps: usize,
        /// Cases whose names contain this
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Print what was measured, and the times that a model predicts for more ranks; draw both
    Report {
        /// The file that `measure` has written
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// Write the picture to this file, whose name ends in .png or .svg
        #[arg(long, value_name = "FILE")]
        picture: Option<PathBuf>,
        /// The time that a message takes between two machines, in microseconds
        #[arg(long, default_value_t = 20.0)]
        latency: f64,
        /// What a machine sends and receives, in gigabytes a second
        #[arg(long, default_value_t = 1.25)]
        bandwidth: f64,
    },
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Measure { out, steps, only } => {
            World::mpi(|world| -> Result<()> { measure::measure(world, &out, steps, &only) })
        }
        Command::Report {
            from,
            picture,
            latency,
            bandwidth,
        } => report::report(&from, picture.as_deref(), latency * 1e-6, bandwidth * 1e9),
    };
    bn_examples::finish(result)
}
