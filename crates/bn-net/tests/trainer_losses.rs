//! The trainer with losses other than softmax, and the mean loss that it records.

use bn_data::{Dataset, LastBatch, Sampling};
use bn_layers::{Layer, LayerExt, Shape};
use bn_net::{BinaryCrossEntropy, Error, IdentityWithLoss, Loss, Network, Sgd, Targets, Trainer};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};

/// Two classes separated by a line.
fn two_classes(n: usize) -> Dataset {
    let images = Array2::from_shape_fn((n, 2), |(n, d)| ((n * 2 + d) as f32 * 1.3).sin());
    let labels = images.map_axis(Axis(1), |x| usize::from(x[0] + 0.5 * x[1] > 0.1));
    Dataset::new(images, labels.to_vec(), (1, 2, 1), 2).unwrap()
}

/// A loss whose mean is 10 for a batch of two rows and 9 for a batch of one, with gradient 0.
struct TenOrNine;

impl Loss<f32> for TenOrNine {
    fn check(&self, _: usize, _: usize, _: Targets<'_, f32>) -> Result<(), Error> {
        Ok(())
    }
    fn forward(&mut self, x: ArrayView2<'_, f32>, _: Targets<'_, f32>) -> Result<f64, Error> {
        Ok(if x.nrows() == 2 { 10.0 } else { 9.0 })
    }
    fn backward_into(
        &self,
        _: ArrayView2<'_, f32>,
        _: Targets<'_, f32>,
        mut dx: ArrayViewMut2<'_, f32>,
    ) -> Result<(), Error> {
        dx.fill(0.0);
        Ok(())
    }
}

#[test]
fn the_training_loss_is_the_mean_over_examples() {
    let mut network = Network::builder(2).affine(2).build(1).unwrap();
    let trainer = Trainer::new(2).sampling(Sampling::Permutation(LastBatch::Keep));
    let (train, mut sgd) = (two_classes(3), Sgd::new(0.1).unwrap());
    let history = trainer
        .fit(&mut network, &mut TenOrNine, &mut sgd, &train, None)
        .unwrap();
    let want = (2.0 * 10.0 + 9.0) / 3.0;
    assert!((history.records[0].train_loss - want).abs() < 1e-12);
}

#[test]
fn a_binary_classifier_with_one_output_is_trained_and_evaluated() {
    let (train, test) = two_classes(300).split_validation_count(100, 1).unwrap();
    for loss in [
        BinaryCrossEntropy::on_logits(),
        BinaryCrossEntropy::on_probabilities(),
    ] {
        let on_logits = format!("{loss:?}").contains("logits: true");
        let builder = Network::builder(2).affine(8).batch_norm().relu().affine(1);
        let builder = if on_logits {
            builder
        } else {
            builder.sigmoid()
        };
        let mut network = builder.build(1).unwrap();
        let (mut loss, mut sgd) = (loss, Sgd::new(0.5).unwrap());
        let trainer = Trainer::new(20).epochs(20).seed(1);
        let history = trainer
            .fit(&mut network, &mut loss, &mut sgd, &train, Some(&test))
            .unwrap();
        let last = history.last().unwrap();
        assert!(last.train_accuracy().unwrap() > 0.95, "{last:?}");
        assert!(last.test_accuracy().unwrap() > 0.9, "{last:?}");
    }
}

#[test]
fn data_that_the_loss_refuses_are_refused_before_the_first_step() {
    let train = two_classes(20);
    let two_outputs = Network::builder(2).affine(2).build(1).unwrap();
    let one_output = Network::builder(2).affine(1).build(1).unwrap();
    let losses: [(Network, Box<dyn Loss<f32>>); 2] = [
        // Binary cross entropy takes labels only for a network with one output.
        (two_outputs, Box::new(BinaryCrossEntropy::on_logits())),
        // A regression does not take labels.
        (one_output, Box::new(IdentityWithLoss::default())),
    ];
    for (mut network, mut loss) in losses {
        let before = weights(&network);
        let mut sgd = Sgd::new(0.1).unwrap();
        let error = Trainer::new(5)
            .fit(&mut network, &mut *loss, &mut sgd, &train, None)
            .unwrap_err();
        assert!(matches!(error, Error::Targets { .. }), "{error}");
        assert_eq!(weights(&network), before);
    }
}

fn weights(network: &Network) -> Vec<f32> {
    let mut values = Vec::new();
    network.visit(&mut |p| values.extend(p.value));
    values
}

/// A user's layer that accepts only an even number of rows.
#[derive(Debug, Clone)]
struct Even;

impl Layer<f32> for Even {
    fn output_shape(&self, input: Shape) -> Result<Shape, bn_layers::Error> {
        Ok(input)
    }
    fn forward_into(
        &mut self,
        x: ArrayView2<'_, f32>,
        mut y: ArrayViewMut2<'_, f32>,
        pass: &bn_layers::Pass<'_>,
    ) -> Result<(), bn_layers::Error> {
        if pass.mode() != bn_layers::Mode::Eval && !x.nrows().is_multiple_of(2) {
            let reason = "an odd number of rows".to_owned();
            return Err(bn_layers::Error::Nested { reason });
        }
        y.assign(&x);
        Ok(())
    }
    fn backward_into(
        &mut self,
        io: bn_layers::Io<'_, f32>,
        wanted: bn_layers::Wanted<'_, f32>,
        _: &bn_layers::Pass<'_>,
    ) -> Result<(), bn_layers::Error> {
        if let Some(mut dx) = wanted.dx {
            dx.assign(&io.dout);
        }
        Ok(())
    }
}

#[test]
fn a_rule_of_a_users_layer_is_checked_before_the_first_step() {
    let mut network = Network::builder(2)
        .affine(2)
        .layer("even", Even)
        .build(1)
        .unwrap();
    let before = weights(&network);
    let (mut loss, mut sgd) = (bn_net::SoftmaxWithLoss::new(), Sgd::new(0.1).unwrap());
    let kept = Trainer::new(4).sampling(Sampling::Permutation(LastBatch::Keep));
    let error = kept
        .fit(&mut network, &mut loss, &mut sgd, &two_classes(11), None)
        .unwrap_err();
    assert!(error.to_string().contains("odd number"), "{error}");
    assert_eq!(weights(&network), before);
    kept.fit(&mut network, &mut loss, &mut sgd, &two_classes(10), None)
        .unwrap();
}
