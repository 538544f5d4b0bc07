//! How close each kernel comes to the limits of this machine: matrix products to the fastest one,
//! Batch Normalization to a copy, and training steps to the time of their matrix products.
//!
//! Williams, Waterman and Patterson, *Roofline: an insightful visual performance model*, 2009.

mod bars;
mod copy;
mod measure;
mod picture;
mod report;
#[path = "../../benches/workload/mod.rs"]
mod workload;

use anyhow::Result;
use batchnorm::Pool;
use bn_examples::args::RunArgs;
use bn_examples::style::progress_bar;
use clap::{CommandFactory, FromArgMatches, Parser};
use measure::{Measured, Plan};
use std::{io::Write, process::ExitCode, time::Instant};

/// Measure the limits of this machine, and how close each kernel comes to them
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// Use small arrays and few rounds; the results are not meaningful
    #[arg(long)]
    quick: bool,
}

fn main() -> ExitCode {
    let command = bn_examples::args::take_negative_numbers(Args::command());
    let args = Args::from_arg_matches(&command.get_matches()).unwrap_or_else(|e| e.exit());
    let pool = args.run.prepare();
    bn_examples::finish(pool.and_then(|pool| roofline(&args, &pool)))
}

fn roofline(args: &Args, pool: &Pool) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    let plan = if args.quick {
        Plan::quick()
    } else {
        Plan::full()
    };
    let one = Pool::new(1)?;
    let mut pools = vec![&one];
    // A build without threads has only one.
    if pool.install(batchnorm::tensor::threads) > 1 {
        pools.push(pool);
    }
    let bar = progress_bar(
        (pools.len() * plan.rounds_per_pool()) as u64,
        "measurements",
    );
    let mut measured: Vec<Measured> = Vec::new();
    for pool in pools {
        measured.push(measure::all(pool, &plan, &bar)?);
    }
    bar.finish_and_clear();

    let header = pool.install(workload::machine::header);
    writeln!(out, "\n{header}\n\n{}", report::text(&measured))?;
    let mut results = pool.install(|| args.run.results(start));
    results["machine"] = header.as_str().into();
    results["quick"] = args.quick.into();
    results["measured"] = measured.iter().map(report::to_json).collect();
    args.run.write(&results, picture::SIZE, |area| {
        picture::draw(area, &header, &measured)
    })
}
