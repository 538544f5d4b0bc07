//! What a run of the trainer writes: progress off a terminal, and `tracing` events.
#![cfg(any(feature = "progress", feature = "tracing"))]

use bn_data::Digits;
use bn_net::{History, Network, Sgd, SoftmaxWithLoss, Trainer};

/// Two epochs with a test set.
fn fit(progress: bool) -> History {
    let (train, test) = Digits::load().unwrap().into_parts();
    let builder = Network::builder(64).affine(16).batch_norm().relu();
    let mut network = builder.affine(10).build(1).unwrap();
    let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1).unwrap());
    let trainer = Trainer::new(100).epochs(2).progress(progress);
    let test = Some(&test);
    trainer
        .fit(&mut network, &mut loss, &mut sgd, &train, test)
        .unwrap()
}

#[cfg(feature = "progress")]
#[test]
fn off_a_terminal_the_progress_is_a_line_for_each_epoch() {
    use crate::common::child;
    use std::{io::Read, process::Stdio};

    let with_progress = || {
        fit(false);
        fit(true);
    };
    if child::is_child() {
        with_progress();
        std::process::exit(child::DONE);
    }
    let mut command = child::command(child::name_of(&with_progress));
    let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
    let status = child::finish(&mut process);
    let mut written = String::new();
    let stderr = process.stderr.as_mut().unwrap();
    stderr.read_to_string(&mut written).unwrap();
    assert_eq!(
        status.and_then(|status| status.code()),
        Some(child::DONE),
        "{written}"
    );
    let records = fit(false).records;
    let last = records.last().unwrap().iteration;
    let lines = records.iter().map(|record| {
        let (step, accuracy) = (record.iteration, record.test_accuracy().unwrap());
        let (train, test) = (record.train_loss, record.test_loss.unwrap());
        format!(
            "step {step}/{last}, loss {train:.4}, test loss {test:.4}, accuracy {accuracy:.4}\n"
        )
    });
    assert_eq!(records.len(), 2);
    assert_eq!(written, lines.collect::<String>());
}

#[cfg(feature = "tracing")]
mod events {
    use super::fit;
    use crate::common::child;
    use bn_net::Record;
    use std::{
        collections::BTreeMap,
        fmt::Debug,
        sync::{Arc, Mutex},
    };
    use tracing::{
        Event, Level, Metadata, Subscriber,
        field::{Field, Visit},
        span::{self, Attributes, Id},
    };

    /// The fields of an event, as text.
    #[derive(Debug, Default)]
    struct Fields(BTreeMap<String, String>);

    impl Visit for Fields {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            self.0.insert(field.name().to_owned(), format!("{value:?}"));
        }
    }

    /// A subscriber that keeps the events of the trainer.
    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<Vec<(Level, Fields)>>>);

    impl Subscriber for Kept {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "bn_net::trainer"
        }

        fn event(&self, event: &Event<'_>) {
            let mut fields = Fields::default();
            event.record(&mut fields);
            let level = *event.metadata().level();
            self.0.lock().unwrap().push((level, fields));
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    /// In a process of its own: `tracing` remembers that the trainers of other tests have no subscriber.
    #[test]
    fn a_run_emits_an_event_for_each_step_and_each_evaluation() {
        child::run(|| {
            let kept = Kept::default();
            let records = tracing::subscriber::with_default(kept.clone(), || fit(false)).records;
            check(&kept.0.lock().unwrap(), &records);
        });
    }

    fn check(events: &[(Level, Fields)], records: &[Record]) {
        let of = |level| events.iter().filter(move |event| event.0 == level);
        let steps: Vec<_> = of(Level::DEBUG).map(|(_, step)| &step.0).collect();
        assert_eq!(steps.len() as u64, records[1].iteration);
        for (i, step) in steps.iter().enumerate() {
            assert_eq!(step["iteration"], (i + 1).to_string());
            assert!(step["loss"].parse::<f64>().unwrap() > 0.0);
        }
        assert_eq!((of(Level::INFO).count(), records.len()), (2, 2));
        for ((_, event), record) in of(Level::INFO).zip(records) {
            for (name, want) in [
                ("iteration", record.iteration.to_string()),
                ("epoch", format!("{:?}", record.epoch)),
                ("learning_rate", "0.1".to_owned()),
                ("train_loss", format!("{:?}", record.train_loss)),
                ("test_loss", format!("{:?}", record.test_loss.unwrap())),
                ("metric", "\"accuracy\"".to_owned()),
                ("value", format!("{:?}", record.test_accuracy().unwrap())),
            ] {
                assert_eq!(event.0[name], want, "{name}");
            }
        }
    }
}
