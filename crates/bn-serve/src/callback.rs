//! A callback of the trainer that publishes to a hub.

use crate::{
    histogram::Histogram,
    live::{Event, LayerHistograms, Live},
};
use bn_layers::LayerExt;
use bn_net::{Callback, Network, Record, Training};
use std::ops::ControlFlow;

/// After this many steps have been published, only every second one of them is.
const STEPS: u32 = 256;

/// Publishes a training run to a [`Live`]: [`Live::callback`].
#[derive(Debug)]
pub struct LiveCallback {
    live: Live,
    run: String,
    every: u32,     // steps in an event
    published: u32, // events since `every` was doubled
    sum: f64,       // of the losses since the last event
    count: u32,     // of those losses
}

impl Live {
    /// A callback that publishes a run under this name: the loss of each step, in a long run the means of several
    /// steps, each evaluation, and with it the histograms of each layer. It publishes [`Event::Started`] now;
    /// [`finished`](Self::finished) ends the run.
    ///
    /// ```
    /// use bn_data::Digits;
    /// use bn_net::{Network, Sgd, SoftmaxWithLoss, Trainer};
    /// let (train, test) = Digits::load()?.into_parts();
    /// let mut network = Network::builder(64).affine(20).batch_norm().relu().affine(10).build(1)?;
    /// let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1)?);
    /// let live = bn_serve::Live::new();
    /// let mut callback = live.callback("with Batch Normalization");
    /// let trainer = Trainer::new(100).epochs(2);
    /// let result = trainer.fit_with(&mut network, &mut loss, &mut sgd, &train, Some(&test), &mut callback);
    /// live.finished("with Batch Normalization", result.as_ref().err());
    /// assert!(live.history().iter().any(|event| event.contains(r#""type":"evaluation""#)));
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    pub fn callback(&self, run: &str) -> LiveCallback {
        let run = run.to_owned();
        self.publish(&Event::Started { run: run.clone() });
        LiveCallback {
            live: self.clone(),
            run,
            every: 1,
            published: 0,
            sum: 0.0,
            count: 0,
        }
    }

    /// Publishes that a run has ended, and why if it failed.
    pub fn finished(&self, run: &str, error: Option<&bn_net::Error>) {
        self.publish(&Event::Finished {
            run: run.to_owned(),
            error: error.map(ToString::to_string),
        });
    }
}

impl Callback for LiveCallback {
    fn on_step(&mut self, iteration: u64, loss: f64, _: Training<'_, f32>) -> ControlFlow<()> {
        self.sum += loss;
        self.count += 1;
        if self.count >= self.every {
            self.live.publish(&Event::Step {
                run: self.run.clone(),
                iteration,
                loss: self.sum / f64::from(self.count),
            });
            (self.sum, self.count) = (0.0, 0);
            self.published += 1;
            if self.published == STEPS {
                (self.every, self.published) = (self.every.saturating_mul(2), 0);
            }
        }
        ControlFlow::Continue(())
    }

    fn on_record(&mut self, record: &Record, training: Training<'_, f32>) -> ControlFlow<()> {
        self.live.publish(&Event::Evaluation {
            run: self.run.clone(),
            iteration: record.iteration,
            epoch: record.epoch,
            train_loss: record.train_loss,
            test_loss: record.test_loss,
            train_accuracy: record.train_accuracy(),
            test_accuracy: record.test_accuracy(),
        });
        self.live.publish(&Event::Layers {
            run: self.run.clone(),
            iteration: record.iteration,
            layers: histograms(training.network),
        });
        ControlFlow::Continue(())
    }
}

/// Of the weights, and of the outputs for the last batch. Layers that are computed together are one.
fn histograms(network: &Network) -> Vec<LayerHistograms> {
    let (mut layers, mut names, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for (index, name) in network.layer_names().enumerate() {
        names.push(format!("{index} {name}"));
        if let Some(layer) = network.layer(index) {
            layer.visit(&mut |p| {
                if p.is_decayed {
                    weights.extend_from_slice(p.value);
                }
            });
        }
        if let Some(activations) = network.activation(index) {
            layers.push(LayerHistograms {
                name: names.join(", "),
                weights: (!weights.is_empty()).then(|| Histogram::of(&weights)),
                activations: Histogram::of(activations.as_slice().unwrap_or(&[])),
            });
            names.clear();
            weights.clear();
        }
    }
    layers
}
