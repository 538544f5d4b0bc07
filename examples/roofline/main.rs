//! How near each kernel comes to what this machine can do at most: matrix products to the best
//! product, passes over memory to the bandwidth of a copy, whole steps to their products alone.
//!
//! Williams, Waterman and Patterson, *Roofline: an insightful visual performance model*, 2009.

#[path = "../common/mod.rs"]
mod common;
mod copy;
mod measure;
mod picture;
mod report;
#[path = "../../benches/workload/mod.rs"]
mod workload;

use anyhow::Result;
use batchnorm::Pool;
use clap::Parser;
use common::args::RunArgs;
use common::style::progress_bar;
use measure::{Measured, Plan};
use std::{io::Write, process::ExitCode, time::Instant};

/// Measure what this machine can do at most, and the share of it that each kernel reaches
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// Small arrays and few rounds: whether it runs, not what the machine can do
    #[arg(long)]
    quick: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let pool = args.run.prepare();
    common::finish(pool.and_then(|pool| roofline(&args, &pool)))
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
    // A build without threads has one pool, whatever it is asked for.
    if pool.install(batchnorm::tensor::threads) > 1 {
        pools.push(pool);
    }
    let bar = progress_bar(pools.len() * plan.steps(), "measurements")?;
    let mut measured: Vec<Measured> = Vec::new();
    for pool in pools {
        measured.push(measure::all(pool, &plan, &bar));
    }
    bar.finish_and_clear();

    let header = pool.install(workload::machine::header);
    writeln!(out, "{header}\n\n{}", report::text(&measured))?;
    args.run.draw(picture::SIZE, |area| {
        picture::draw(area, &header, &measured)
    })?;
    let mut figures = pool.install(|| args.run.figures(start));
    figures["machine"] = header.into();
    figures["quick"] = args.quick.into();
    figures["measured"] = measured.iter().map(report::to_json).collect();
    args.run.write_json(&figures)?;
    let picture = args.run.picture_note();
    writeln!(out, "{}", picture.trim_start())?;
    Ok(())
}
