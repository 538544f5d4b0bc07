//! The times of one job.

use crate::cases::{CASES, Case};
use anyhow::{Context, Result};
use bn_dist::{DataParallel, World};
use bn_layers::LayerExt;
use bn_net::{Loss, Network, Sgd, Targets};
use mpi::{
    collective::{CommunicatorCollectives, SystemOperation},
    topology::SimpleCommunicator,
};
use ndarray::{Array2, ArrayView2};
use serde_json::json;
use std::{
    fs::OpenOptions,
    io::Write,
    ops::Range,
    path::Path,
    time::{Duration, Instant},
};

/// Steps before those that are timed.
const WARM_UP: usize = 8;

pub(crate) fn measure(world: &World, out: &Path, steps: usize, only: &str) -> Result<()> {
    if world.rank() == 0 {
        bn_examples::output::check_writable(out)?;
    }
    let mut lines = Vec::new();
    for case in CASES.iter().filter(|case| case.name.contains(only)) {
        lines.push(step(world, case, steps)?);
        if world.size() == 1 && !case.is_weak {
            lines.push(plain(case, steps)?);
        }
    }
    if world.rank() > 0 {
        return Ok(());
    }
    let file = OpenOptions::new().create(true).append(true).open(out);
    let mut file = file.with_context(|| format!("cannot write {}", out.display()))?;
    for line in lines {
        writeln!(file, "{line}")?;
    }
    Ok(())
}

/// Times steps of a case, each by `train` on these rows of the batch, and returns the network too.
fn timed(
    case: &Case,
    rows: Range<usize>,
    steps: usize,
    mut train: impl FnMut(
        &mut Network,
        ArrayView2<'_, f32>,
        Targets<'_, f32>,
        &mut dyn Loss<f32>,
    ) -> Result<()>,
) -> Result<(Network, Vec<Duration>)> {
    let (mut network, mut loss) = case.network()?;
    let width = network.input().size();
    let x = Array2::from_shape_fn((rows.len(), width), |(n, d)| {
        (((rows.start + n) * width + d) as f32 * 0.37).sin()
    });
    let labels: Vec<usize> = rows.map(|image| case.label(image)).collect();
    let ones = labels.iter().map(|&label| label as f32).collect();
    let ones = Array2::from_shape_vec((labels.len(), 1), ones)?;
    let mut times = Vec::new();
    for _ in 0..WARM_UP + steps {
        let t = match network.output().size() {
            1 => Targets::from(ones.view()),
            _ => (&labels).into(),
        };
        let start = Instant::now();
        train(&mut network, x.view(), t, &mut *loss)?;
        times.push(start.elapsed());
    }
    Ok((network, times.split_off(WARM_UP)))
}

/// Steps of several ranks, and an allreduce of MPI with as many bytes as the gradients have.
fn step(world: &World, case: &Case, steps: usize) -> Result<serde_json::Value> {
    let (mut parallel, mut sgd) = (DataParallel::new(world)?, Sgd::new(0.01)?);
    let whole = case.rows(world.size());
    let mut communication = Vec::new();
    let (network, times) = timed(case, parallel.rows(whole), steps, |network, x, t, loss| {
        let before = parallel.communication_time();
        parallel.train_step(network, x, t, loss, &mut sgd)?;
        communication.push(parallel.communication_time() - before);
        Ok(())
    })?;
    let (mut params, mut norms) = (0, Vec::new());
    network.visit(&mut |p| {
        params += p.grad.len();
        if p.name.ends_with("gamma") {
            norms.push(p.value.len());
        }
    });
    Ok(json!({
        "case": case.name,
        "ranks": world.size(),
        "threads": bn_tensor::threads(),
        "images": whole,
        "seconds": median(times),
        "communication": median(communication.split_off(WARM_UP)),
        "bytes": 4 * params,
        "norms": norms,
        "allreduce": all_reduce(params, steps),
    }))
}

/// The same steps without this crate, on whole batches.
fn plain(case: &Case, steps: usize) -> Result<serde_json::Value> {
    let mut sgd = Sgd::new(0.01)?;
    let (_, times) = timed(case, 0..case.batch, steps, |network, x, t, loss| {
        network.train_step(x, t, loss, &mut sgd)?;
        Ok(())
    })?;
    Ok(json!({
        "case": case.name,
        "ranks": 0,
        "threads": bn_tensor::threads(),
        "images": case.batch,
        "seconds": median(times),
    }))
}

fn all_reduce(values: usize, rounds: usize) -> f64 {
    let (from, mut to) = (vec![1.0f32; values], vec![0.0f32; values]);
    let world = SimpleCommunicator::world();
    let times = (0..WARM_UP + rounds).map(|_| {
        world.barrier();
        let start = Instant::now();
        world.all_reduce_into(&from, &mut to, SystemOperation::sum());
        start.elapsed()
    });
    median(times.skip(WARM_UP).collect())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times
        .get(times.len() / 2)
        .map_or(0.0, Duration::as_secs_f64)
}
