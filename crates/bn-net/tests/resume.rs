//! A run that is killed continues to the same bytes, and the settings that depend on evaluations.

use bn_data::{Augmentation, Dataset, Digits, Targets};
use bn_layers::{LayerExt, State};
use bn_net::{
    Adam, Averaging, Callback, Checkpoint, Clip, EarlyStop, Error, History, Monitor, Network,
    Record, ReduceOnPlateau, Schedule, Sgd, SoftmaxWithLoss, Trainer, Training,
};
use ndarray::{CowArray, Ix2};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::{
    env, fs,
    ops::ControlFlow,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

const FOLDER: &str = "BN_TEST_RESUME";
const KILLS: usize = 20;
const EPOCHS: u64 = 6;

fn digits() -> (Dataset, Dataset) {
    Digits::load().unwrap().into_parts()
}

fn network() -> Network {
    let builder = Network::builder((8, 8, 1)).conv2d(bn_layers::Conv2dConfig::new(4, 3).same());
    let builder = builder.batch_norm().relu().residual(|body| {
        let config = bn_layers::Conv2dConfig::new(4, 3).same().without_bias();
        body.conv2d(config)
            .batch_norm()
            .relu()
            .dropout(0.1)
            .conv2d(config)
            .batch_norm()
    });
    builder.relu().dropout(0.2).affine(10).build(1).unwrap()
}

fn trainer(folder: &Path) -> Trainer {
    Trainer::new(50)
        .epochs(EPOCHS)
        .seed(7)
        .progress(false)
        .augment(Augmentation::default().with_shift(1).with_rotation(5.0))
        .accumulate(3)
        .clip(Clip::Norm(1.0))
        .average(Averaging::Exponential { decay: 0.9 })
        .schedule(Schedule::OneCycle {
            max_lr: 0.02,
            steps: 10 * EPOCHS,
        })
        .early_stop(EarlyStop {
            patience: 100,
            restore_best: true,
            monitor: Monitor::Metric("accuracy".to_owned()),
            ..EarlyStop::default()
        })
        .checkpoint(folder.join("run.safetensors"))
        .checkpoint_every(1)
}

/// Runs or continues the run in a folder, and writes what it leads to.
fn run(folder: &Path, callback: &mut dyn Callback) {
    let (train, test) = digits();
    let (train, test) = (train.take(500), test.take(100));
    let (mut network, mut adam) = (network(), Adam::pytorch(0.01).unwrap());
    let loss = &mut SoftmaxWithLoss::new();
    let trainer = trainer(folder);
    let history = trainer
        .fit_with(&mut network, loss, &mut adam, &train, Some(&test), callback)
        .unwrap();
    let records = history.records.iter().map(|r| Record {
        seconds: 0.0,
        ..r.clone()
    });
    let mut result = Checkpoint::new();
    result.add_network("network", &network).unwrap();
    result.add_optimizer::<f32>("adam", &adam).unwrap();
    result
        .add_value("records", &records.collect::<Vec<_>>())
        .unwrap();
    result.save(folder.join("result.safetensors")).unwrap();
}

/// Waits a little after each step, so that a kill hits any of them.
struct Slow;

impl Callback for Slow {
    fn on_step(&mut self, _: u64, _: f64, _: Training<'_, f32>) -> ControlFlow<()> {
        thread::sleep(Duration::from_millis(10));
        ControlFlow::Continue(())
    }
}

/// It runs in a process of its own.
#[test]
fn a_child_that_trains() {
    if let Some(folder) = env::var_os(FOLDER) {
        run(Path::new(&folder), &mut Slow);
    }
}

#[test]
fn a_run_that_is_killed_twenty_times_ends_with_the_same_bytes() {
    let uninterrupted = tempfile::tempdir().unwrap();
    run(uninterrupted.path(), &mut History::default());

    let folder = tempfile::tempdir().unwrap();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let (mut kills, mut iterations) = (0, Vec::new());
    loop {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "resume::a_child_that_trains"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        if kills == KILLS {
            assert!(child.wait().unwrap().success());
            break;
        }
        // After the process has begun to train, at a random moment.
        let before = iterations.last().copied().unwrap_or(0);
        while iteration(folder.path()) <= before {
            assert!(
                child.try_wait().unwrap().is_none(),
                "the run ended too early"
            );
            thread::sleep(Duration::from_millis(2));
        }
        thread::sleep(Duration::from_micros(rng.random_range(0..20_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        iterations.push(iteration(folder.path()));
    }
    assert!(
        iterations.iter().any(|i| !i.is_multiple_of(10)),
        "in the middle of epochs"
    );
    let result = |folder: &Path| fs::read(folder.join("result.safetensors")).unwrap();
    assert!(
        result(folder.path()) == result(uninterrupted.path()),
        "{iterations:?}"
    );
}

/// The number of steps in the checkpoint, 0 without one.
fn iteration(folder: &Path) -> u64 {
    let Ok(checkpoint) = Checkpoint::load(folder.join("run.safetensors")) else {
        return 0;
    };
    let state: serde_json::Value = checkpoint.value("trainer").unwrap();
    state["iteration"].as_u64().unwrap()
}

fn fit(
    trainer: &Trainer,
    network: &mut Network,
    callback: &mut dyn Callback,
) -> Result<History, Error> {
    let (train, test) = digits();
    let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1).unwrap());
    trainer.fit_with(network, &mut loss, &mut sgd, &train, Some(&test), callback)
}

fn dense() -> Network {
    let builder = Network::builder(64).affine(16).batch_norm().relu();
    builder.affine(10).build(1).unwrap()
}

fn values(network: &Network) -> Vec<f32> {
    let mut all = Vec::new();
    network.visit(&mut |p| all.extend_from_slice(p.value));
    all
}

#[test]
fn the_checkpoint_of_another_run_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.safetensors");
    let trainer = || {
        Trainer::new(100)
            .iterations(3)
            .progress(false)
            .checkpoint(&path)
    };
    fit(&trainer(), &mut dense(), &mut History::default()).unwrap();
    let stored = fs::read(&path).unwrap();
    for (other, expected) in [
        (trainer().seed(5), "the seed of the run in"),
        (trainer().accumulate(2), "accumulated"),
        (
            Trainer::new(50).checkpoint(&path).progress(false),
            "batches of an epoch",
        ),
    ] {
        let mut network = dense();
        let before = values(&network);
        let error = fit(&other, &mut network, &mut History::default()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(values(&network), before);
    }
    let mut wider = Network::builder(64).affine(17).affine(10).build(1).unwrap();
    let before = values(&wider);
    fit(&trainer(), &mut wider, &mut History::default()).unwrap_err();
    assert_eq!(values(&wider), before);
    assert_eq!(fs::read(&path).unwrap(), stored);
    // A file that is no checkpoint is not overwritten.
    fs::write(&path, "notes").unwrap();
    fit(&trainer(), &mut dense(), &mut History::default()).unwrap_err();
    assert_eq!(fs::read(&path).unwrap(), b"notes");
}

#[test]
fn a_run_ends_when_it_is_told_to_and_continues_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.safetensors");
    let stop = Arc::new(AtomicBool::new(false));
    struct StopAt(u64, Arc<AtomicBool>);
    impl Callback for StopAt {
        fn on_step(&mut self, iteration: u64, _: f64, _: Training<'_, f32>) -> ControlFlow<()> {
            self.1.store(iteration == self.0, Ordering::Relaxed);
            ControlFlow::Continue(())
        }
    }
    let trainer = Trainer::new(100).epochs(2).progress(false);
    let interrupted = trainer.clone().checkpoint(&path).stop_when(stop.clone());
    let history = fit(&interrupted, &mut dense(), &mut StopAt(5, stop.clone())).unwrap();
    assert!(history.records.is_empty() && path.exists());
    let (mut resumed, mut whole) = (dense(), dense());
    stop.store(false, Ordering::Relaxed);
    let history = fit(&interrupted, &mut resumed, &mut History::default()).unwrap();
    let expected = fit(&trainer, &mut whole, &mut History::default()).unwrap();
    assert_eq!(values(&resumed), values(&whole));
    let losses =
        |history: &History| -> Vec<f64> { history.records.iter().map(|r| r.train_loss).collect() };
    assert_eq!(losses(&history), losses(&expected));
}

#[test]
fn the_best_parameters_come_back() {
    // From step 40 on the learning rate ruins the network.
    let schedule = Schedule::function(|t| if t < 40 { 0.1 } else { 30.0 });
    let stop = EarlyStop {
        patience: 3,
        restore_best: true,
        ..EarlyStop::default()
    };
    let trainer = Trainer::new(100)
        .epochs(30)
        .progress(false)
        .schedule(schedule)
        .early_stop(stop);
    let mut network = dense();
    let history = fit(&trainer, &mut network, &mut History::default()).unwrap();
    let losses: Vec<f64> = history
        .records
        .iter()
        .map(|r| r.test_loss.unwrap())
        .collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let last = *losses.last().unwrap();
    assert!(last > 2.0 * best && losses.len() < 30, "{losses:?}");
    let (_, test) = digits();
    let loss = &mut SoftmaxWithLoss::new();
    let workspace = &mut bn_net::Workspace::default();
    let restored = network
        .evaluate_loss(test.images(), test.labels().into(), loss, workspace)
        .unwrap();
    assert!((restored - best).abs() < 1e-9, "{restored} {best}");
}

#[test]
fn a_plateau_reduces_the_learning_rate() {
    let plateau = ReduceOnPlateau {
        factor: 0.5,
        patience: 2,
        min_delta: 1e9, // no loss counts as lower than the first
        min_lr: 0.03,
        ..ReduceOnPlateau::default()
    };
    let trainer = Trainer::new(100)
        .epochs(8)
        .progress(false)
        .reduce_on_plateau(plateau);
    let history = fit(&trainer, &mut dense(), &mut History::default()).unwrap();
    let rates: Vec<f64> = history.records.iter().map(|r| r.learning_rate).collect();
    assert_eq!(rates, [0.1, 0.1, 0.1, 0.05, 0.05, 0.03, 0.03, 0.03]);
}

#[test]
fn evaluations_use_the_average_and_the_network_ends_with_it() {
    let averaging = Averaging::Stochastic { start: 5, every: 2 };
    let trainer = Trainer::new(100).epochs(3).progress(false);
    let (mut averaged, mut plain) = (dense(), dense());
    let with = trainer.clone().average(averaging);
    let history = fit(&with, &mut averaged, &mut History::default()).unwrap();
    fit(&trainer, &mut plain, &mut History::default()).unwrap();
    assert_ne!(values(&averaged), values(&plain));
    let (_, test) = digits();
    let accuracy = averaged.accuracy(test.images(), test.labels()).unwrap();
    assert_eq!(history.last().unwrap().test_accuracy(), Some(accuracy));
}

#[test]
fn callbacks_change_gradients_network_and_optimizer() {
    /// Freezes the first layers after three steps and sets the learning rate to 0 after six.
    #[derive(Default)]
    struct Changes {
        values: Vec<Vec<f32>>,
        gradients: usize,
        batches: usize,
    }
    impl Callback for Changes {
        fn on_batch(
            &mut self,
            images: &mut CowArray<'_, f32, Ix2>,
            _: Targets<'_, f32>,
            _: Training<'_, f32>,
        ) -> ControlFlow<()> {
            self.batches += images.nrows();
            match self.batches > 1000 {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        }
        fn on_gradient(&mut self, network: &mut Network) -> Result<(), Error> {
            self.gradients += 1;
            network.visit_mut(&mut |p| {
                if p.name == "layers.3.bias" {
                    p.grad.fill(0.0);
                }
            });
            Ok(())
        }
        fn on_step(&mut self, iteration: u64, _: f64, run: Training<'_, f32>) -> ControlFlow<()> {
            if iteration == 3 {
                run.network.freeze_layers(..3).unwrap();
            }
            if iteration == 6 {
                run.optimizer.set_learning_rate(0.0).unwrap();
            }
            self.values.push(values(run.network));
            ControlFlow::Continue(())
        }
    }
    let mut changes = Changes::default();
    let trainer = Trainer::new(100).epochs(1).progress(false);
    let mut network = dense();
    fit(&trainer, &mut network, &mut changes).unwrap();
    assert_eq!((changes.gradients, changes.values.len()), (10, 10)); // the 11th batch was not used
    let v = &changes.values;
    let first = 64 * 16 + 16 + 4 * 16; // the values of the first layers
    assert_ne!(v[1][..first], v[2][..first]);
    assert_eq!(v[2][..first], v[5][..first]);
    assert_ne!(v[4][first..], v[5][first..]);
    assert_eq!(v[5], v[9]);
    network.visit(&mut |p| {
        if p.name == "layers.3.bias" {
            assert!(p.value.iter().all(|&b| b == 0.0));
        }
    });
    let mut counters = 0;
    bn_layers::Layer::state(&network, &mut |part| {
        counters += usize::from(matches!(part, State::Counter("layers.1.updates", 3)));
    });
    assert_eq!(
        counters, 1,
        "frozen after three updates of the running statistics"
    );
}

/// Black images have no gradient of the first weights.
#[test]
fn callbacks_change_the_images_of_a_batch() {
    struct Black;
    impl Callback for Black {
        fn on_batch(
            &mut self,
            images: &mut CowArray<'_, f32, Ix2>,
            _: Targets<'_, f32>,
            _: Training<'_, f32>,
        ) -> ControlFlow<()> {
            images.fill(0.0);
            ControlFlow::Continue(())
        }
    }
    let trainer = Trainer::new(100).epochs(1).progress(false);
    let (mut network, before) = (dense(), values(&dense()));
    fit(&trainer, &mut network, &mut Black).unwrap();
    let after = values(&network);
    assert_eq!(after[..64 * 16], before[..64 * 16]);
    assert_ne!(after, before);
}
