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
use ndarray::Array2;
use serde_json::json;
use std::{
    fs::OpenOptions,
    io::Write,
    ops::Range,
    path::Path,
    sync::{Mutex, PoisonError, mpsc::channel},
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

/// A network, and some rows of the batch on which it is trained.
struct Work {
    network: Network,
    loss: Box<dyn Loss<f32>>,
    sgd: Sgd<f32>,
    x: Array2<f32>,
    labels: Vec<usize>,
    ones: Array2<f32>, // the labels as numbers, for a discriminator
}

impl Work {
    fn new(case: &Case, rows: Range<usize>) -> Result<Self> {
        let (network, loss) = case.network()?;
        let width = network.input().size();
        let x = Array2::from_shape_fn((rows.len(), width), |(n, d)| {
            (((rows.start + n) * width + d) as f32 * 0.37).sin()
        });
        let labels: Vec<usize> = rows.map(|image| case.label(image)).collect();
        let ones = labels.iter().map(|&label| label as f32).collect();
        Ok(Self {
            network,
            loss,
            sgd: Sgd::new(0.01)?,
            x,
            ones: Array2::from_shape_vec((labels.len(), 1), ones)?,
            labels,
        })
    }

    /// Makes a step, on the ranks of `parallel` or without this crate, and returns its time.
    fn step(&mut self, parallel: Option<&mut DataParallel<'_>>) -> Result<Duration> {
        let Self {
            network,
            loss,
            sgd,
            x,
            labels,
            ones,
        } = self;
        let t = match network.output().size() {
            1 => Targets::from(ones.view()),
            _ => (&*labels).into(),
        };
        let start = Instant::now();
        match parallel {
            Some(parallel) => parallel.train_step(network, x.view(), t, &mut **loss, sgd)?,
            None => network.train_step(x.view(), t, &mut **loss, sgd)?,
        };
        Ok(start.elapsed())
    }
}

/// Steps of several ranks, in turns with those of one rank by itself, and an allreduce of MPI with as many bytes as the
/// gradients have.
fn step(world: &World, case: &Case, steps: usize) -> Result<serde_json::Value> {
    let mut parallel = DataParallel::new(world)?;
    let (ranks, is_first) = (world.size(), world.rank() == 0);
    let mut work = Work::new(case, parallel.rows(case.rows(ranks)))?;
    let (mut times, mut communication, mut speed_ups) = (Vec::new(), Vec::new(), Vec::new());
    beside_one_rank(case, |one_rank| {
        for _ in 0..WARM_UP + steps {
            let alone = match ranks > 1 && is_first {
                true => Some(one_rank()?),
                false => None,
            };
            wait_asleep();
            let before = parallel.communication_time();
            let time = work.step(Some(&mut parallel))?;
            times.push(time.as_secs_f64());
            communication.push((parallel.communication_time() - before).as_secs_f64());
            let speed_up = |alone: Duration| alone.as_secs_f64() / time.as_secs_f64();
            speed_ups.extend(alone.map(speed_up));
        }
        Ok(())
    })?;
    let (mut params, mut norms) = (0, Vec::new());
    work.network.visit(&mut |p| {
        params += p.grad.len();
        if p.name.ends_with("gamma") {
            norms.push(p.value.len());
        }
    });
    Ok(json!({
        "case": case.name,
        "ranks": ranks,
        "threads": bn_tensor::threads(),
        "images": case.rows(ranks),
        "seconds": warm_median(times),
        "speed_up": case.rows(ranks) as f64 / case.rows(1) as f64 * warm_median(speed_ups),
        "communication": warm_median(communication),
        "bytes": 4 * params,
        "norms": norms,
        "allreduce": all_reduce(params, steps),
    }))
}

/// Calls `f` with a function that makes a step of one rank, which knows nothing of the others, and returns its time.
fn beside_one_rank<R>(
    case: &Case,
    f: impl FnOnce(&dyn Fn() -> Result<Duration>) -> Result<R>,
) -> Result<R> {
    let ((ask, asked), (tell, told)) = (channel(), channel());
    let ends = Mutex::new((asked, tell));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            World::simulate(1, |world| -> Result<()> {
                let (asked, tell) = &*ends.lock().unwrap_or_else(PoisonError::into_inner);
                let mut made = None;
                for () in asked {
                    let (parallel, work) = match &mut made {
                        Some(made) => made,
                        none => {
                            let work = Work::new(case, 0..case.batch)?;
                            none.insert((DataParallel::new(world)?, work))
                        }
                    };
                    tell.send(work.step(Some(parallel)))?;
                }
                Ok(())
            })
        });
        let result = f(&|| {
            ask.send(())?;
            told.recv()?
        });
        drop(ask); // ends the thread
        result
    })
}

/// Waits for all ranks without using a processor.
fn wait_asleep() {
    let mut barrier = SimpleCommunicator::world().immediate_barrier();
    while let Err(unfinished) = barrier.test() {
        barrier = unfinished;
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The same steps without this crate, on whole batches.
fn plain(case: &Case, steps: usize) -> Result<serde_json::Value> {
    let mut work = Work::new(case, 0..case.batch)?;
    let times = (0..WARM_UP + steps).map(|_| Ok(work.step(None)?.as_secs_f64()));
    Ok(json!({
        "case": case.name,
        "ranks": 0,
        "threads": bn_tensor::threads(),
        "images": case.batch,
        "seconds": warm_median(times.collect::<Result<_>>()?),
    }))
}

fn all_reduce(values: usize, rounds: usize) -> f64 {
    let (from, mut to) = (vec![1.0f32; values], vec![0.0f32; values]);
    let world = SimpleCommunicator::world();
    let times = (0..WARM_UP + rounds).map(|_| {
        world.barrier();
        let start = Instant::now();
        world.all_reduce_into(&from, &mut to, SystemOperation::sum());
        start.elapsed().as_secs_f64()
    });
    warm_median(times.collect())
}

/// The median after the warm-up; 1 of nothing.
fn warm_median(mut values: Vec<f64>) -> f64 {
    let warm = values.get_mut(WARM_UP..).unwrap_or_default();
    warm.sort_by(f64::total_cmp);
    warm.get(warm.len() / 2).copied().unwrap_or(1.0)
}
