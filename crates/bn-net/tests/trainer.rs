//! The trainer on the embedded digits: what it promises, and that it learns.

use bn_data::{Dataset, Digits, LastBatch, Sampling};
use bn_layers::{LayerExt, ParamMut};
use bn_net::{
    Callback, EarlyStop, Error, History, Network, Optimizer, OptimizerState, Record, Schedule, Sgd,
    SoftmaxWithLoss, Trainer, Training,
};
use std::ops::ControlFlow;

fn digits() -> (Dataset, Dataset) {
    Digits::load().unwrap().into_parts()
}

fn network() -> Network {
    Network::builder(64)
        .affine(32)
        .batch_norm()
        .relu()
        .affine(10)
        .build(1)
        .unwrap()
}

fn fit(trainer: &Trainer, train: &Dataset, test: Option<&Dataset>) -> Result<History, Error> {
    let mut sgd = Sgd::new(0.1).unwrap();
    trainer.fit(
        &mut network(),
        &mut SoftmaxWithLoss::new(),
        &mut sgd,
        train,
        test,
    )
}

/// A record without its time, which differs from run to run.
fn timeless(history: &History) -> Vec<Record> {
    let records = history.records.iter();
    records
        .map(|r| Record {
            seconds: 0.0,
            ..r.clone()
        })
        .collect()
}

#[test]
fn training_improves_every_number_of_the_history() {
    let (train, test) = digits();
    let history = fit(&Trainer::new(50).epochs(15).seed(3), &train, Some(&test)).unwrap();
    assert_eq!(history.records.len(), 15);
    let (first, last) = (&history.records[0], &history.records[14]);
    let per_epoch = (train.len() / 50) as u64; // the images left over join the last batch
    assert_eq!(
        (first.iteration, last.iteration),
        (per_epoch, 15 * per_epoch)
    );
    assert_eq!((first.epoch, last.epoch), (1.0, 15.0));
    assert!(last.train_loss < 0.5 * first.train_loss);
    assert!(last.train_accuracy().unwrap() > 0.97, "{last:?}");
    assert!(last.test_accuracy().unwrap() > 0.88, "{last:?}");
    assert!(last.test_loss.unwrap() < first.test_loss.unwrap());
    assert!(last.seconds >= first.seconds && first.seconds > 0.0);
    assert_eq!(last.learning_rate, 0.1);
}

#[test]
fn the_history_depends_only_on_the_seed() {
    let (train, _) = digits();
    let run = |seed| timeless(&fit(&Trainer::new(64).epochs(2).seed(seed), &train, None).unwrap());
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    assert_eq!(run(1)[0].test_accuracy(), None);
}

#[test]
fn a_run_can_be_counted_and_evaluated_in_steps() {
    let (train, _) = digits();
    let trainer = Trainer::new(100)
        .iterations(25)
        .evaluate_every(10)
        .sampling(Sampling::WithReplacement);
    let history = fit(&trainer, &train, None).unwrap();
    let iterations: Vec<u64> = history.records.iter().map(|r| r.iteration).collect();
    assert_eq!(iterations, [10, 20, 25]); // always after the last step
}

#[test]
fn a_schedule_sets_the_rate_of_each_step() {
    let (train, _) = digits();
    let schedule = Schedule::Step {
        lr: 0.2,
        step_size: 10,
        gamma: 0.5,
    };
    let trainer = Trainer::new(100)
        .iterations(30)
        .evaluate_every(10)
        .schedule(schedule);
    let history = fit(&trainer, &train, None).unwrap();
    let rates: Vec<f64> = history.records.iter().map(|r| r.learning_rate).collect();
    assert_eq!(rates, [0.2, 0.1, 0.05]);
}

#[test]
fn early_stop_ends_a_run_whose_loss_no_longer_falls() {
    let (train, test) = digits();
    let stop = EarlyStop {
        patience: 3,
        min_delta: 1e9, // no loss counts as lower than the first
        ..EarlyStop::default()
    };
    let trainer = Trainer::new(100).epochs(50).early_stop(stop);
    let history = fit(&trainer, &train, Some(&test)).unwrap();
    assert_eq!(history.records.len(), 1 + 3);
}

/// Takes so many steps of a run with a schedule, and then fails.
struct FailsLater {
    sgd: Sgd<f32>,
    steps: usize,
}

impl Optimizer<f32> for FailsLater {
    fn state(&self) -> Option<&OptimizerState<f32>> {
        self.sgd.state()
    }

    fn state_mut(&mut self) -> Option<&mut OptimizerState<f32>> {
        self.sgd.state_mut()
    }

    fn update(&mut self, p: ParamMut<'_, f32>) -> Result<(), Error> {
        self.sgd.update(p)
    }

    fn learning_rate(&self) -> f64 {
        self.sgd.learning_rate()
    }

    fn set_learning_rate(&mut self, lr: f64) -> Result<(), Error> {
        if self.steps == 0 {
            return Err(Error::EmptyNetwork { what: "a step" });
        }
        self.steps -= 1;
        self.sgd.set_learning_rate(lr)
    }
}

#[test]
fn a_history_as_a_callback_keeps_the_records_of_a_run_that_fails() {
    let (train, test) = digits();
    let schedule = Schedule::Constant { lr: 0.1 };
    let trainer = Trainer::new(100).epochs(4).schedule(schedule);
    let mut fitted = network();
    let mut history = History::default();
    let (mut loss, sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1).unwrap());
    let steps = 28; // two epochs
    let mut optimizer = FailsLater { sgd, steps };
    let error = trainer
        .fit_with(
            &mut fitted,
            &mut loss,
            &mut optimizer,
            &train,
            Some(&test),
            &mut history,
        )
        .unwrap_err();
    assert!(matches!(error, Error::EmptyNetwork { .. }), "{error}");

    let two_epochs = Trainer::new(100).epochs(2);
    let expected = fit(&two_epochs, &train, Some(&test)).unwrap();
    assert_eq!(timeless(&history), timeless(&expected));
    // The network is as it was after the last step that succeeded.
    let accuracy = fitted.accuracy(test.images(), test.labels()).unwrap();
    assert_eq!(Some(accuracy), history.last().unwrap().test_accuracy());
}

#[test]
fn callbacks_see_each_step_and_each_record_and_may_end_the_run() {
    struct Stop {
        steps: u64,
        records: usize,
        at_step: u64,
    }
    impl Callback for Stop {
        fn on_step(&mut self, iteration: u64, loss: f64, _: Training<'_, f32>) -> ControlFlow<()> {
            self.steps += 1;
            assert_eq!(iteration, self.steps);
            assert!(loss.is_finite());
            if iteration == self.at_step {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
        fn on_record(&mut self, record: &Record, training: Training<'_, f32>) -> ControlFlow<()> {
            assert!(record.train_accuracy() > Some(0.0) && training.network.param_count() > 0);
            self.records += 1;
            if self.records == 2 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }
    let (train, _) = digits();
    for (at_step, steps, records) in [(7, 7, 0), (u64::MAX, 28, 2)] {
        let mut stop = Stop {
            steps: 0,
            records: 0,
            at_step,
        };
        let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1).unwrap());
        let trainer = Trainer::new(100).epochs(5);
        let history = trainer
            .fit_with(&mut network(), &mut loss, &mut sgd, &train, None, &mut stop)
            .unwrap();
        assert_eq!((stop.steps, stop.records), (steps, records));
        assert_eq!(history.records.len(), records);
    }
}

#[test]
fn a_last_batch_of_one_image_is_refused_or_avoided() {
    let (train, _) = digits();
    let train = train.take(101);
    let kept = Sampling::Permutation(LastBatch::Keep);
    let mut steps = 0;
    struct Count<'a>(&'a mut u64);
    impl Callback for Count<'_> {
        fn on_step(&mut self, _: u64, _: f64, _: Training<'_, f32>) -> ControlFlow<()> {
            *self.0 += 1;
            ControlFlow::Continue(())
        }
    }
    let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1).unwrap());
    let trainer = Trainer::new(50).sampling(kept);
    let count = &mut Count(&mut steps);
    let result = trainer.fit_with(&mut network(), &mut loss, &mut sgd, &train, None, count);
    let error = result.unwrap_err();
    assert!(
        error.to_string().contains("merge the last batch"),
        "{error}"
    );
    assert_eq!(steps, 0, "refused before the first step");
    for other in [LastBatch::Drop, LastBatch::Merge] {
        let sampling = Sampling::Permutation(other);
        let history = fit(&Trainer::new(50).sampling(sampling), &train, None).unwrap();
        assert_eq!(history.records[0].iteration, 2, "{other:?}");
    }
    // A network without BatchNormalization can train on a single image.
    let mut plain = Network::builder(64).affine(10).build(1).unwrap();
    let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1).unwrap());
    let trainer = Trainer::new(50).sampling(kept);
    let history = trainer
        .fit(&mut plain, &mut loss, &mut sgd, &train, None)
        .unwrap();
    assert_eq!(history.records[0].iteration, 3);
}

#[test]
fn bad_settings_and_data_are_refused_before_the_first_step() {
    let (train, test) = digits();
    let mut network = Network::builder(64)
        .affine(8)
        .batch_norm()
        .affine(9)
        .build(1)
        .unwrap();
    let state = |n: &Network| {
        let mut bits = Vec::new();
        n.visit(&mut |p| bits.extend(p.value.iter().map(|v| v.to_bits())));
        bits
    };
    let before = state(&network);
    let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1).unwrap());
    let trainer = Trainer::new(50).epochs(2);
    // Nine outputs, ten classes.
    let error = trainer.fit(&mut network, &mut loss, &mut sgd, &train, Some(&test));
    assert!(matches!(
        error,
        Err(Error::LabelOutOfRange { label: 9, .. })
    ));
    assert_eq!(state(&network), before);

    let stop = |min_delta| EarlyStop {
        patience: 2,
        min_delta,
        ..EarlyStop::default()
    };
    let trainers = [
        Trainer::new(0),
        Trainer::new(50).evaluate_every(0),
        Trainer::new(50).schedule(Schedule::Constant { lr: -1.0 }),
        Trainer::new(50).early_stop(stop(f64::NAN)),
        Trainer::new(50).early_stop(stop(f64::INFINITY)),
        Trainer::new(50).early_stop(stop(-0.1)),
        Trainer::new(1),
    ];
    for trainer in trainers {
        let mut network = self::network();
        let before = state(&network);
        let error = trainer.fit(&mut network, &mut loss, &mut sgd, &train, None);
        assert!(error.is_err(), "{trainer:?}");
        assert_eq!(state(&network), before);
    }
    assert_eq!(Optimizer::<f32>::learning_rate(&sgd), 0.1);
}

#[cfg(feature = "csv")]
#[test]
fn a_history_as_csv_has_a_row_for_each_record() {
    let (train, test) = digits();
    let history = fit(&Trainer::new(100).epochs(2), &train, Some(&test)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.csv");
    history.write_csv(&path).unwrap();

    let mut rows = csv::Reader::from_path(&path).unwrap();
    let columns: Vec<_> = rows.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(
        columns.join(" "),
        "epoch iteration learning_rate train_loss test_loss train_accuracy test_accuracy seconds"
    );
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        rows[1][5].parse::<f64>().unwrap(),
        history.records[1].train_accuracy().unwrap()
    );
}

#[test]
fn a_history_is_written_completely_or_not_at_all() {
    let (train, test) = digits();
    let history = fit(&Trainer::new(100).epochs(2), &train, Some(&test)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.json");
    history.write_json(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        value["records"][1]["train_loss"],
        history.records[1].train_loss
    );

    let missing = folder.path().join("no such folder").join("h.json");
    let error = history.write_json(&missing).unwrap_err();
    assert!(error.to_string().starts_with("cannot write "), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
