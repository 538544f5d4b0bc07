//! A run that stops in the middle of an epoch continues from its file alone, and only with its own settings.

use crate::common::checkpoints::with_record;
use bn_data::{Augmentation, Dataset, Digits};
use bn_layers::LayerExt;
use bn_net::{
    Adam, AdamW, Callback, Checkpoint, Error, History, Network, Optimizer, Schedule, Sgd,
    SoftmaxWithLoss, Trainer, Training,
};
use serde_json::{Value, json};
use std::{fs, ops::ControlFlow, path::Path};
use tempfile::TempDir;

const BATCHES: u64 = 7; // of an epoch; the last has 84 images
const STEPS: u64 = 3 * BATCHES;
const END: u64 = u64::MAX; // of a run that does not stop before its last step

fn digits() -> Dataset {
    let (train, _) = Digits::load().unwrap().into_parts();
    train.take(384)
}

fn network() -> Network {
    let builder = Network::builder(64).affine(16).batch_norm().relu();
    builder.dropout(0.3).affine(10).build(1).unwrap()
}

fn adam() -> Adam<f32> {
    Adam::pytorch(0.01).unwrap()
}

fn cosine() -> Schedule {
    Schedule::Cosine {
        lr: 0.01,
        steps: STEPS,
        min_lr: 1e-4,
    }
}

fn augmentation() -> Augmentation {
    Augmentation::default().with_shift(1).with_noise(0.1)
}

fn trainer(file: &Path) -> Trainer {
    Trainer::new(50)
        .iterations(STEPS)
        .seed(7)
        .progress(false)
        .augment(augmentation())
        .schedule(cosine())
        .checkpoint(file)
}

/// Ends the run after this step, without an evaluation.
struct StopAt(u64);

impl Callback for StopAt {
    fn on_step(&mut self, iteration: u64, _: f64, _: Training<'_, f32>) -> ControlFlow<()> {
        match iteration == self.0 {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

fn fit(
    trainer: &Trainer,
    network: &mut Network,
    optimizer: &mut dyn Optimizer<f32>,
    stop_at: u64,
) -> Result<History, Error> {
    let (loss, stop) = (&mut SoftmaxWithLoss::new(), &mut StopAt(stop_at));
    trainer.fit_with(network, loss, optimizer, &digits(), None, stop)
}

/// Trains fresh objects up to a step, from the beginning or from the file.
fn run(trainer: &Trainer, stop_at: u64) {
    fit(trainer, &mut network(), &mut adam(), stop_at).unwrap();
}

/// The bytes of the file of a run, except for the time that it took.
fn bytes(file: &Path) -> Vec<u8> {
    let checkpoint = with_record(&Checkpoint::load(file).unwrap(), "trainer", |state| {
        state["seconds"] = json!(0);
        let records = state["history"]["records"].as_array_mut().unwrap();
        assert_eq!(records.len() as u64, STEPS / BATCHES);
        records
            .iter_mut()
            .for_each(|record| record["seconds"] = json!(0));
    });
    checkpoint.to_bytes().unwrap()
}

#[test]
fn a_run_that_stops_within_an_epoch_continues_to_the_same_bytes() {
    let folder = TempDir::new().unwrap();
    let whole = folder.path().join("whole.safetensors");
    run(&trainer(&whole), END);
    for stops in [
        &[1][..],
        &[BATCHES + 3],
        &[3, BATCHES - 1, BATCHES, 2 * BATCHES + 5],
    ] {
        let file = folder.path().join("run.safetensors");
        for &stop in stops {
            run(&trainer(&file), stop);
            let state: Value = Checkpoint::load(&file).unwrap().value("trainer").unwrap();
            assert_eq!(state["iteration"], stop);
        }
        run(&trainer(&file), END);
        assert!(bytes(&file) == bytes(&whole), "{stops:?}");
        fs::remove_file(file).unwrap();
    }
}

/// Optimizer, schedule, position and the states of all generators.
#[test]
fn the_file_of_a_run_has_all_that_the_next_step_depends_on() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("run.safetensors");
    run(&trainer(&file), BATCHES + 3);
    let checkpoint = Checkpoint::load(&file).unwrap();
    let value = |name| -> Value { checkpoint.value(name).unwrap() };
    let adam = &value("optimizer")["optimizer"];
    assert_eq!(adam["kind"]["optimizer"], "Adam::pytorch");
    assert_eq!(adam["kind"]["settings"]["beta2"], 0.999);
    assert_eq!(adam["steps"], BATCHES + 3);
    // That of the last step.
    assert_eq!(
        adam["learning_rate"],
        cosine().learning_rate(BATCHES + 2),
        "{adam}"
    );
    let position = value("position");
    for (name, expected) in [
        ("seed", json!(7)), // of the batches and of the augmentation
        ("epoch", json!(1)),
        ("position", json!(3)),
    ] {
        assert_eq!(position[name], expected, "{position}");
    }
    let expected = json!({
        "batch_sizes": [50, 84],
        "schedule": { "Cosine": { "lr": 0.01, "steps": STEPS, "min_lr": 1e-4 } },
        "augmentation": augmentation(),
    });
    assert_eq!(position["settings"], expected);
    // Dropout's mask and the running statistics depend on counters.
    let counters = &value("network")["network"]["counters"];
    assert_eq!(counters["layers.1.updates"], BATCHES + 3, "{counters}");
    assert_eq!(counters["layers.3.draws"], BATCHES + 3, "{counters}");
    assert!(counters["layers.3.seed"].is_u64(), "{counters}");
}

#[test]
fn a_run_with_other_settings_is_refused_and_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("run.safetensors");
    run(&trainer(&file), 5);
    let stored = fs::read(&file).unwrap();
    let refused = |trainer: Trainer, optimizer: &mut dyn Optimizer<f32>, parts: [&str; 2]| {
        let mut network = network();
        let error = fit(&trainer, &mut network, optimizer, END).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Checkpoint { .. }), "{text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        let mut expected = Vec::new();
        self::network().visit(&mut |p| expected.extend_from_slice(p.value));
        let mut values = Vec::new();
        network.visit(&mut |p| values.extend_from_slice(p.value));
        assert_eq!(values, expected);
        assert!(optimizer.state().is_none_or(|state| state.steps() == 0));
        assert_eq!(fs::read(&file).unwrap(), stored);
    };
    let other = |schedule| trainer(&file).schedule(schedule);
    let (longer, constant) = (
        Schedule::Cosine {
            lr: 0.01,
            steps: STEPS + 1,
            min_lr: 1e-4,
        },
        Schedule::Constant { lr: 0.01 },
    );
    refused(
        other(longer),
        &mut adam(),
        ["the schedule of the run", "\"steps\":22"],
    );
    refused(other(constant), &mut adam(), ["Cosine", "Constant"]);
    refused(
        trainer(&file).augment(Augmentation::default()),
        &mut adam(),
        ["the augmentation of the run", "\"shift\":1"],
    );
    // As many batches of another size.
    let sizes = Trainer::new(49)
        .seed(7)
        .progress(false)
        .augment(augmentation())
        .schedule(cosine())
        .checkpoint(&file);
    refused(
        sizes,
        &mut adam(),
        [
            "the size of the batches",
            "[50,84], but that of this run is [49,90]",
        ],
    );
    let betas = adam().with_betas(0.5, 0.999).unwrap();
    for mut optimizer in [
        Box::new(betas) as Box<dyn Optimizer<f32>>,
        Box::new(AdamW::new(0.01, 0.1).unwrap()),
        Box::new(Sgd::new(0.01).unwrap()),
    ] {
        let name = optimizer.describe().unwrap().to_string();
        refused(trainer(&file), &mut *optimizer, ["Adam", &name]);
    }
}

#[test]
fn the_file_of_a_run_without_settings_is_continued() {
    let folder = TempDir::new().unwrap();
    let [file, whole] = ["run", "whole"].map(|name| folder.path().join(name));
    run(&trainer(&file), 5);
    // As files were before the settings were stored.
    let old = with_record(&Checkpoint::load(&file).unwrap(), "position", |position| {
        position
            .as_object_mut()
            .unwrap()
            .remove("settings")
            .unwrap();
    });
    old.save(&file).unwrap();
    run(&trainer(&file), END);
    run(&trainer(&whole), END);
    assert!(bytes(&file) == bytes(&whole));
}
