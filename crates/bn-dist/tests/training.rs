//! The trainer on several ranks does what it does in one process.

use crate::{common::Trained, compare::difference};
use bn_data::{Augmentation, Dataset, Digits};
use bn_dist::{DataParallel, World};
use bn_layers::Conv2dConfig;
use bn_net::{
    Adam, Averaging, Checkpoint, Clip, EarlyStop, Error, History, Monitor, Network, Record,
    ReduceOnPlateau, Schedule, SoftmaxWithLoss, Trainer,
};
use std::{
    fs,
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

fn digits() -> (Dataset, Dataset) {
    let (train, test) = Digits::load().unwrap().into_parts();
    (train.take(503), test.take(100))
}

/// Batch Normalization inside and outside of blocks, Dropout, weight decay.
fn network() -> Network {
    let conv = |filters| Conv2dConfig::new(filters, 3).same().without_bias();
    let builder = Network::builder((8, 8, 1))
        .weight_decay(1e-4)
        .conv2d(conv(4));
    let builder = builder.batch_norm().relu().residual(move |body| {
        let body = body.conv2d(conv(4)).batch_norm().relu().dropout(0.1);
        body.conv2d(conv(4)).batch_norm()
    });
    builder.relu().dropout(0.2).affine(10).build(1).unwrap()
}

/// All that the trainer can do.
fn trainer() -> Trainer {
    Trainer::new(50)
        .epochs(4)
        .seed(7)
        .progress(false)
        .augment(Augmentation::default().with_shift(1).with_rotation(5.0))
        .accumulate(3)
        .clip(Clip::Norm(1.0))
        .average(Averaging::Exponential { decay: 0.9 })
        .schedule(Schedule::OneCycle {
            max_lr: 0.02,
            steps: 16,
        })
        .reduce_on_plateau(ReduceOnPlateau::default())
        .early_stop(EarlyStop {
            patience: 100,
            restore_best: true,
            monitor: Monitor::Metric("accuracy".to_owned()),
            ..EarlyStop::default()
        })
}

fn without_seconds(history: History) -> Vec<Record> {
    let records = history.records.into_iter();
    records.map(|r| Record { seconds: 0.0, ..r }).collect()
}

type Result<T> = std::result::Result<T, Error>;

fn fit(world: &World, trainer: &Trainer) -> Result<(Vec<Record>, Trained<f32>)> {
    let ((train, test), mut network) = (digits(), network());
    let (mut loss, mut adam) = (SoftmaxWithLoss::new(), Adam::pytorch(0.01)?);
    let mut parallel = DataParallel::new(world)?;
    let test = Some(&test);
    let history = parallel.fit(trainer, &mut network, &mut loss, &mut adam, &train, test)?;
    Ok((without_seconds(history), Trained::new(Vec::new(), &network)))
}

#[test]
fn a_run_has_the_same_bits_at_any_number_of_ranks() {
    let run = |ranks| World::simulate(ranks, |world| fit(world, &trainer()).unwrap());
    let one = run(1).remove(0);
    assert_eq!(one.0.len(), 4);
    for ranks in [2, 3, 4] {
        for (rank, result) in run(ranks).iter().enumerate() {
            assert!(result == &one, "rank {rank} of {ranks}");
        }
    }
}

#[test]
fn a_run_is_that_of_one_process() {
    // In f64, so that a rounding changes no draw, no rectifier and no evaluation. Without Adam, which divides
    // gradients of 0 by themselves.
    let ranks = World::simulate(3, |world| {
        let ((train, test), network) = (digits(), network());
        let mut network = network.to::<f64>().unwrap();
        let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), bn_net::Sgd::new(0.05).unwrap());
        let trainer = Trainer::<f64>::new(50)
            .epochs(3)
            .seed(7)
            .accumulate(2)
            .progress(false);
        let (train, test) = (train.to::<f64>(), test.to::<f64>());
        let mut parallel = DataParallel::new(world).unwrap();
        let fit = parallel.fit(
            &trainer,
            &mut network,
            &mut loss,
            &mut sgd,
            &train,
            Some(&test),
        );
        let records = without_seconds(fit.unwrap());
        let mut alone = self::network().to::<f64>().unwrap();
        let mut sgd = bn_net::Sgd::new(0.05).unwrap();
        let fit = trainer.fit(&mut alone, &mut loss, &mut sgd, &train, Some(&test));
        (
            records,
            Trained::new(vec![], &network),
            without_seconds(fit.unwrap()),
            Trained::new(vec![], &alone),
        )
    });
    let (records, trained, records_alone, alone) = &ranks[1];
    let difference = difference(trained, alone);
    assert!(difference < 1e-12, "{difference:e}");
    for (a, b) in records.iter().zip(records_alone) {
        assert!((a.train_loss - b.train_loss).abs() < 1e-12);
        assert!((a.test_loss.unwrap() - b.test_loss.unwrap()).abs() < 1e-12);
        assert_eq!((a.iteration, &a.metrics), (b.iteration, &b.metrics));
    }
}

/// The last steps of a run, resumed from the checkpoint in a folder.
fn resume(ranks: usize, folder: &Path, iterations: u64) -> Vec<(Vec<Record>, Trained<f32>)> {
    let path = folder.join("run.safetensors");
    World::simulate(ranks, |world| {
        let trainer = trainer().iterations(iterations).checkpoint(&path);
        fit(world, &trainer).unwrap()
    })
}

#[test]
fn any_number_of_ranks_resumes_from_a_checkpoint_of_any_other() {
    let one = World::simulate(1, |world| fit(world, &trainer().iterations(13)).unwrap());
    for (before, after) in [(1, 4), (4, 1), (2, 3), (3, 2)] {
        let folder = tempfile::tempdir().unwrap();
        resume(before, folder.path(), 6); // in the middle of the second epoch
        for result in resume(after, folder.path(), 13) {
            // The evaluation after step 6 is one more.
            assert!(result.1 == one[0].1, "{before} ranks, then {after}");
        }
    }
}

#[test]
fn one_rank_writes_and_an_alien_file_is_refused_on_all() {
    let folder = tempfile::tempdir().unwrap();
    resume(3, folder.path(), 5);
    let names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|f| f.unwrap().file_name())
        .collect();
    assert_eq!(names, ["run.safetensors"]);
    let checkpoint = Checkpoint::load(folder.path().join("run.safetensors")).unwrap();
    assert!(checkpoint.array::<f32>("network.layers.0.weight").is_ok());

    let path = folder.path().join("alien");
    fs::write(&path, "not a checkpoint").unwrap();
    let results = World::simulate(3, |world| {
        let trainer = trainer().checkpoint(&path);
        fit(world, &trainer).unwrap_err().to_string()
    });
    for message in results {
        assert!(
            message.contains("is not a checkpoint of this library"),
            "{message}"
        );
    }
    assert_eq!(fs::read(&path).unwrap(), b"not a checkpoint");
}

#[test]
fn a_wish_to_stop_on_one_rank_stops_all_after_the_same_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.safetensors");
    let steps = World::simulate(3, |world| -> Result<_> {
        let ((train, test), mut network) = (digits(), network());
        let (mut loss, mut adam) = (SoftmaxWithLoss::new(), Adam::pytorch(0.01)?);
        let mut parallel = DataParallel::new(world)?;
        let stop = Arc::new(AtomicBool::new(false));
        let trainer = trainer()
            .evaluate_every(1)
            .checkpoint(&path)
            .stop_when(stop.clone());
        let (mut steps, rank) = (0, world.rank());
        let mut callback = |record: &Record, _: &Network| {
            steps = record.iteration;
            stop.store(rank == 1 && record.iteration == 5, Ordering::Relaxed);
            ControlFlow::Continue(())
        };
        let (network, callback): (_, &mut dyn bn_net::Callback) = (&mut network, &mut callback);
        let test = Some(&test);
        trainer.fit_together(
            network,
            &mut loss,
            &mut adam,
            &train,
            test,
            callback,
            &mut parallel,
        )?;
        Ok(steps)
    });
    for steps in steps {
        assert_eq!(steps.unwrap(), 5);
    }
    // And the checkpoint continues as if nothing had been.
    let stopped = World::simulate(2, |world| {
        let trainer = trainer().evaluate_every(1).checkpoint(&path).iterations(9);
        fit(world, &trainer).unwrap()
    });
    let whole = World::simulate(1, |world| {
        fit(world, &trainer().evaluate_every(1).iterations(9)).unwrap()
    });
    assert!(stopped[0] == whole[0]);
}

#[test]
fn local_batch_norm_gives_each_rank_its_own_statistics() {
    let run = |ranks: usize, is_local: bool| {
        World::simulate(ranks, |world| -> Result<_> {
            let ((train, _), mut network) = (digits(), network());
            let (mut loss, mut adam) = (SoftmaxWithLoss::new(), Adam::pytorch(0.01)?);
            let mut parallel = DataParallel::new(world)?;
            if is_local {
                parallel = parallel.local_batch_norm();
            }
            let trainer = Trainer::new(50).iterations(120).progress(false);
            parallel.fit(&trainer, &mut network, &mut loss, &mut adam, &train, None)?;
            let (mut trained, mut running) = (Vec::new(), Vec::new());
            bn_layers::LayerExt::visit(&network, &mut |p| match p.is_trained {
                true => trained.extend(p.value),
                false => running.extend(p.value),
            });
            Ok((trained, running))
        })
        .into_iter()
        .map(|result| result.unwrap())
        .collect::<Vec<(Vec<f32>, Vec<f32>)>>()
    };
    let (global, local) = (run(2, false), run(2, true));
    assert!(global[0] == global[1]);
    // The parameters are the same on all ranks, also those of Batch Normalization; the statistics are not.
    assert!(local[0].0 == local[1].0);
    assert!(local[0].1 != local[1].1);
    assert!(local[0].0 != global[0].0);
    // One rank has the whole batch.
    assert!(run(1, true)[0] == global[0]);
}
