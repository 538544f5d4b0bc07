//! The trainer on values, several labels at once and one-hot rows, in f32 and f64, and with a metric from
//! outside the crate.

use bn_data::{Batch, BatchSource, BatchState, Batches, Dataset};
use bn_layers::LayerExt;
use bn_net::{
    Adam, BinaryCrossEntropy, Error, History, Huber, Loss, LrFinder, MeanAbsoluteError,
    MeanSquaredError, Metric, NetworkBuilder, SoftmaxWithLoss, Targets, Trainer,
};
use bn_tensor::Scalar;
use ndarray::{Array2, ArrayView2, Axis};

/// Points of the plane, spread evenly enough.
fn points<T: Scalar>(n: usize) -> Array2<T> {
    Array2::from_shape_fn((n, 2), |(n, d)| {
        T::from_f64(((n * 2 + d) as f64 * 1.3).sin())
    })
}

fn values<T: Scalar>(n: usize, of: impl Fn(f64, f64) -> Vec<f64>) -> Dataset<T> {
    let x = points::<T>(n);
    let t = x.map_axis(Axis(1), |x| of(x[0].as_f64(), x[1].as_f64()));
    let width = t[0].len();
    let t = Array2::from_shape_fn((n, width), |(n, k)| T::from_f64(t[n][k]));
    Dataset::with_values(x, t, (1, 1, 2)).unwrap()
}

fn fit<T: Scalar>(
    trainer: Trainer<T>,
    data: &Dataset<T>,
    loss: &mut dyn Loss<T>,
    outputs: usize,
) -> History {
    let builder = NetworkBuilder::<T>::new(2).affine(16).batch_norm().relu();
    let mut network = builder.affine(outputs).build(1).unwrap();
    let mut adam = Adam::pytorch(0.02).unwrap();
    let (train, test) = data.split_validation(0.25, 1).unwrap();
    let trainer = trainer.epochs(30).progress(false);
    trainer
        .fit(&mut network, loss, &mut adam, &train, Some(&test))
        .unwrap()
}

fn regression<T: Scalar>(loss: &mut dyn Loss<T>) -> History {
    let data = values::<T>(400, |a, b| vec![a * b, a + 0.5 * b]);
    fit(Trainer::new(20), &data, loss, 2)
}

#[test]
fn values_are_fitted_in_f32_and_f64() {
    for history in [
        regression::<f32>(&mut MeanSquaredError::new()),
        regression::<f64>(&mut MeanSquaredError::new()),
        regression::<f64>(&mut MeanAbsoluteError::new()),
        regression::<f64>(&mut Huber::new(0.5).unwrap()),
    ] {
        let last = history.last().unwrap();
        assert!(last.test("R2").unwrap() > 0.9, "{last:?}");
        assert!(last.train("MAE").unwrap() < 0.15, "{last:?}");
        assert_eq!(last.test_accuracy(), None);
    }
}

#[test]
fn several_labels_at_once_and_one_hot_rows_are_learned() {
    let data = values::<f64>(400, |a, b| vec![f64::from(a > b), f64::from(a + b > 0.2)]);
    let loss = &mut BinaryCrossEntropy::on_logits();
    let history = fit(Trainer::new(20), &data, loss, 2);
    assert!(
        history.last().unwrap().test_accuracy().unwrap() > 0.93,
        "{history:?}"
    );

    let data = values::<f32>(400, |a, b| vec![f64::from(a > b), f64::from(a <= b)]);
    let history = fit(Trainer::new(20), &data, &mut SoftmaxWithLoss::new(), 2);
    assert!(
        history.last().unwrap().test_accuracy().unwrap() > 0.93,
        "{history:?}"
    );
}

/// The largest error: a metric of which smaller is better.
#[derive(Debug, Clone, Default)]
struct LargestError(f64);

impl Metric<f64> for LargestError {
    fn name(&self) -> String {
        "largest error".to_owned()
    }
    fn check(&self, _: usize, _: usize, _: Targets<'_, f64>) -> Result<(), Error> {
        Ok(())
    }
    fn reset(&mut self) {
        self.0 = 0.0;
    }
    fn update(&mut self, y: ArrayView2<'_, f64>, t: Targets<'_, f64>) -> Result<(), Error> {
        if let Targets::Dense(t) = t {
            self.0 = y
                .iter()
                .zip(t)
                .fold(self.0, |most, (y, t)| most.max((y - t).abs()));
        }
        Ok(())
    }
    fn value(&self) -> f64 {
        self.0
    }
    fn higher_is_better(&self) -> bool {
        false
    }
}

#[test]
fn a_metric_from_outside_is_reported_and_decides_when_to_stop() {
    let data = values::<f64>(400, |a, b| vec![a * b]);
    let stop = bn_net::EarlyStop {
        patience: 3,
        restore_best: true,
        monitor: bn_net::Monitor::Metric("largest error".to_owned()),
        ..Default::default()
    };
    let trainer = Trainer::new(20)
        .metrics(vec![Box::new(LargestError::default())])
        .early_stop(stop);
    let builder = NetworkBuilder::<f64>::new(2).affine(16).batch_norm().relu();
    let mut network = builder.affine(1).build(1).unwrap();
    let (mut loss, mut adam) = (MeanSquaredError::new(), Adam::pytorch(0.05).unwrap());
    let (train, test) = data.split_validation(0.25, 1).unwrap();
    let trainer = trainer.epochs(200).progress(false);
    let history = trainer
        .fit(&mut network, &mut loss, &mut adam, &train, Some(&test))
        .unwrap();
    assert!(
        (4..200).contains(&history.records.len()),
        "{}",
        history.records.len()
    );
    let errors: Vec<f64> = history
        .records
        .iter()
        .map(|r| r.test("largest error").unwrap())
        .collect();
    let best = errors.iter().copied().fold(f64::INFINITY, f64::min);
    let restored = LargestError::default()
        .evaluate(
            network.predict(test.images()).unwrap().view(),
            test.targets(),
        )
        .unwrap();
    assert_eq!(restored, best);
}

#[test]
fn a_source_of_batches_trains_as_its_data_set_does() {
    let data = values::<f64>(200, |a, b| vec![a * b]);
    let values_after = |from_source: bool| {
        let mut network = NetworkBuilder::<f64>::new(2)
            .affine(8)
            .relu()
            .affine(1)
            .build(1)
            .unwrap();
        let (mut loss, mut adam) = (MeanSquaredError::new(), Adam::pytorch(0.01).unwrap());
        let trainer = Trainer::new(20).epochs(2).seed(3).progress(false);
        let history = &mut History::default();
        if from_source {
            let mut batches = Batches::new(&data, 20, 3).unwrap();
            let batches = &mut batches;
            trainer
                .fit_batches(&mut network, &mut loss, &mut adam, batches, None, history)
                .unwrap();
            assert_eq!(history.last().unwrap().train("R2"), None);
        } else {
            trainer
                .fit_with(&mut network, &mut loss, &mut adam, &data, None, history)
                .unwrap();
            assert!(history.last().unwrap().train("R2").is_some());
        }
        let mut values = Vec::new();
        network.visit(&mut |p| values.extend_from_slice(p.value));
        values
    };
    assert_eq!(values_after(true), values_after(false));
}

/// A source of one's own that never has a batch.
struct Nothing;

impl BatchSource<f64> for Nothing {
    fn next_batch(&mut self) -> Result<Option<Batch<'_, f64>>, bn_data::Error> {
        Ok(None)
    }
    fn batches_per_epoch(&self) -> usize {
        1
    }
    fn batch_sizes(&self) -> Vec<usize> {
        vec![20]
    }
    fn image_shape(&self) -> (usize, usize, usize) {
        (1, 1, 2)
    }
    fn state(&self) -> BatchState {
        BatchState {
            seed: 0,
            epoch: 0,
            position: 0,
        }
    }
    fn restore(&mut self, _: BatchState) -> Result<(), bn_data::Error> {
        Ok(())
    }
}

#[test]
fn a_source_without_batches_is_an_error_and_not_a_hang() {
    let mut network = NetworkBuilder::<f64>::new(2).affine(1).build(1).unwrap();
    let (mut loss, mut adam) = (MeanSquaredError::new(), Adam::pytorch(0.01).unwrap());
    let finder = LrFinder::default();
    let found = finder.run(&network, &mut loss, &adam, &mut Nothing);
    let trainer = Trainer::new(20).progress(false);
    let history = &mut History::default();
    let trained = trainer.fit_batches(
        &mut network,
        &mut loss,
        &mut adam,
        &mut Nothing,
        None,
        history,
    );
    for error in [found.unwrap_err(), trained.unwrap_err()] {
        assert!(
            matches!(error, Error::Data(bn_data::Error::Empty { .. })),
            "{error}"
        );
    }
}
