//! Serves a model file, or a network that learns the embedded digits in a few seconds, with a page to draw on and a
//! trainer that compares training with and without Batch Normalization:
//!
//! ```sh
//! cargo run --release -p bn-serve --example serve            # then open http://127.0.0.1:8000
//! cargo run --release -p bn-serve --example serve -- model.safetensors 127.0.0.1:9000
//! ```

use anyhow::Context;
use bn_data::{Augmentation, Dataset, Digits, Preprocessing};
use bn_layers::{Conv2dConfig, Init};
use bn_net::{Adam, Model, Network, Sgd, SoftmaxWithLoss, Trainer};
use bn_serve::{Content, Live, Options, serve};
use std::{
    net::TcpListener,
    sync::{Arc, atomic::AtomicBool},
};

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (model, address) = (args.next(), args.next());
    let address = address.as_deref().unwrap_or("127.0.0.1:8000");
    let listener =
        TcpListener::bind(address).with_context(|| format!("cannot listen at {address}"))?;
    let model = match model {
        Some(path) => Model::load(path)?,
        None => learn_digits()?,
    };
    let live = Live::new();
    let content = Content::new()
        .model(model)
        .live(live)
        .trainer(Box::new(compare));
    println!("http://{}", listener.local_addr()?);
    // Until Ctrl-C ends the process.
    serve(
        listener,
        content,
        &Options::default(),
        Arc::new(AtomicBool::new(false)),
    )?;
    Ok(())
}

/// A small convolutional network that has learned the digits, shifted and turned as people draw them.
pub(crate) fn learn_digits() -> anyhow::Result<Model> {
    let (train, test) = Digits::load()?.into_parts();
    let mut network = Network::builder((8, 8, 1))
        .conv2d(Conv2dConfig::new(8, 3).same())
        .batch_norm()
        .relu()
        .conv2d(Conv2dConfig::new(16, 3).same())
        .batch_norm()
        .relu()
        .max_pool2d(2)
        .affine(64)
        .batch_norm()
        .relu()
        .affine(10)
        .build(1)?;
    let augmentation = Augmentation::default().with_shift(1).with_rotation(10.0);
    let history = Trainer::new(64)
        .epochs(20)
        .augment(augmentation)
        .evaluate_train(false)
        .fit(
            &mut network,
            &mut SoftmaxWithLoss::new(),
            &mut Adam::book(0.005)?,
            &train,
            Some(&test),
        )?;
    let accuracy = history.best_test_accuracy().unwrap_or(0.0);
    println!(
        "{:.1} % of the test digits are classified correctly",
        100.0 * accuracy
    );
    let mut model = Model::from(network);
    model.preprocessing = Preprocessing::pixels();
    model.classes = (0..10).map(|digit| digit.to_string()).collect();
    Ok(model)
}

/// Trains the book's network, from small weights, with and without Batch Normalization at the same time.
pub(crate) fn compare(live: Live, stop: Arc<AtomicBool>) {
    std::thread::scope(|scope| {
        for (run, has_batch_norm) in [("with Batch Normalization", true), ("without", false)] {
            let (live, stop) = (&live, Arc::clone(&stop));
            scope.spawn(move || {
                let result = Digits::load().map_err(Into::into).and_then(|digits| {
                    let (train, test) = digits.into_parts();
                    learn(live, run, has_batch_norm, stop, &train, &test)
                });
                live.finished(run, result.as_ref().err());
            });
        }
    });
}

fn learn(
    live: &Live,
    run: &str,
    has_batch_norm: bool,
    stop: Arc<AtomicBool>,
    train: &Dataset,
    test: &Dataset,
) -> Result<(), bn_net::Error> {
    let mut builder = Network::builder(64).init(Init::Std(0.05));
    for _ in 0..5 {
        builder = builder.affine(100);
        if has_batch_norm {
            builder = builder.batch_norm();
        }
        builder = builder.relu();
    }
    let mut network = builder.affine(10).build(42)?;
    let mut callback = live.callback(run);
    let trainer = Trainer::new(100)
        .epochs(100)
        .seed(42)
        .stop_when(stop)
        .evaluate_train(false);
    let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.01)?);
    trainer.fit_with(
        &mut network,
        &mut loss,
        &mut sgd,
        train,
        Some(test),
        &mut callback,
    )?;
    Ok(())
}
