//! Two networks trained in turn: what each step changes, which errors it returns, reproducible bits.

use bn_data::{BatchState, Batches, Dataset};
use bn_layers::{Conv2dConfig, LayerExt, Mode};
use bn_net::{
    Adam, BinaryCrossEntropy, Checkpoint, DiscriminatorStep, Error, Gan, GanCallback, GanRecord,
    Network, Sgd,
};
use bn_tensor::Pool;
use ndarray::{Array2, ArrayView2};
use std::ops::{ControlFlow, Range};

fn generator() -> Network {
    let up = |filters| Conv2dConfig::new(filters, 3).stride(2).same();
    Network::builder(5)
        .affine(4 * 4 * 6)
        .reshape((4, 4, 6))
        .batch_norm()
        .relu()
        .conv_transpose2d(up(1))
        .tanh()
        .build(1)
        .unwrap()
}

fn discriminator() -> Network {
    Network::builder((8, 8, 1))
        .conv2d(Conv2dConfig::new(6, 3).stride(2).same())
        .batch_norm()
        .leaky_relu(0.2)
        .conv2d(Conv2dConfig::new(8, 3).same())
        .leaky_relu(0.2)
        .dropout(0.25)
        .flatten()
        .affine(1)
        .build(2)
        .unwrap()
}

fn gan() -> Gan {
    Gan::new(generator(), discriminator(), 3).unwrap()
}

fn real(n: usize, seed: usize) -> Array2<f32> {
    Array2::from_shape_fn((n, 64), |(i, j)| {
        (((i + seed) * 64 + j) as f32 * 0.37).sin()
    })
}

/// All parameters and running statistics, and all gradients.
fn state(network: &Network) -> (Vec<f32>, Vec<f32>) {
    let (mut values, mut grads) = (Vec::new(), Vec::new());
    network.visit(&mut |p| {
        values.extend(p.value);
        grads.extend(p.grad);
    });
    (values, grads)
}

fn running(network: &Network) -> Vec<f32> {
    let mut values = Vec::new();
    network.visit(&mut |p| {
        if !p.is_trained {
            values.extend(p.value);
        }
    });
    values
}

#[test]
fn each_step_changes_one_network_and_not_the_other() {
    let mut gan = gan();
    gan.discriminator_step(real(16, 0).view()).unwrap();
    let (discriminator, generator) = (state(gan.discriminator()), state(gan.generator()));
    let still = running(gan.discriminator());

    gan.generator_step(16).unwrap();
    assert!(
        state(gan.discriminator()) == discriminator,
        "gradients and statistics included"
    );
    assert_ne!(state(gan.generator()).0, generator.0);

    let (generator, moved) = (state(gan.generator()), running(gan.generator()));
    gan.discriminator_step(real(16, 1).view()).unwrap();
    assert!(state(gan.generator()) == generator);
    assert_ne!(state(gan.discriminator()).0, discriminator.0);
    assert_ne!(running(gan.discriminator()), still);

    // Fakes made in `Mode::Train` change the generator's running statistics and nothing else.
    let mut gan = gan.with_fakes(Mode::Train);
    gan.discriminator_step(real(16, 2).view()).unwrap();
    assert_ne!(running(gan.generator()), moved);
    let trained = |network: &Network| {
        let mut values = Vec::new();
        network.visit(&mut |p| {
            if p.is_trained {
                values.extend(p.value.to_vec());
            }
        });
        values
    };
    let before = trained(gan.generator());
    gan.discriminator_step(real(16, 3).view()).unwrap();
    assert_eq!(trained(gan.generator()), before);
}

/// The loss on real images is that of the discriminator by itself.
#[test]
fn the_loss_on_real_images_is_that_of_the_discriminator() {
    let x = real(16, 0);
    let still = || Sgd::new(1e-30).unwrap(); // no parameter changes
    for (real_target, fake_target) in [(1.0, 0.0), (0.9, 0.05)] {
        let mut gan = gan()
            .with_real_target(real_target)
            .and_then(|gan| gan.with_fake_target(fake_target))
            .unwrap()
            .with_optimizers(still(), still());
        let step = gan.discriminator_step(x.view()).unwrap();
        let mut separate = discriminator();
        let mut loss = |target: f64| {
            let t = Array2::from_elem((16, 1), target as f32);
            let loss = &mut BinaryCrossEntropy::on_logits();
            separate.gradient(x.view(), t.view().into(), loss).unwrap()
        };
        assert_eq!(step.real_loss, loss(real_target));
        for share in [step.real_accuracy, step.fake_accuracy] {
            assert!((0.0..=1.0).contains(&share) && (share * 16.0).fract() == 0.0);
        }
    }
}

/// A step of the generator lowers the loss of the same fakes, with the same discriminator, by the
/// learning rate times the square of the gradient. So the gradient is that of both networks together.
#[test]
fn the_generator_learns_through_the_discriminator() {
    let rate = 1e-3;
    let sgd = || Sgd::new(rate).unwrap();
    let gan = || gan().with_optimizers(sgd(), sgd());
    let mut first = gan();
    first.discriminator_step(real(16, 0).view()).unwrap();
    let mut checkpoint = Checkpoint::new();
    first.add_to(&mut checkpoint).unwrap();
    let before = first.generator_step(16).unwrap();
    let mut square = 0.0;
    first.generator().visit(&mut |p| {
        square += p.grad.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>();
    });
    assert!(square > 1e-3, "{square}");

    // The generator after the step, and everything else from before it.
    let mut still = gan();
    still.restore(&checkpoint).unwrap();
    let mut mixed = Checkpoint::new();
    mixed.add_network("generator", first.generator()).unwrap();
    mixed
        .add_network("discriminator", still.discriminator())
        .unwrap();
    for name in ["generator_optimizer", "discriminator_optimizer"] {
        mixed.add_optimizer::<f32>(name, &sgd()).unwrap();
    }
    let noise: (u64, u64) = checkpoint.value("noise").unwrap();
    mixed.add_value("noise", &noise).unwrap();
    mixed.add_value("iteration", &0).unwrap();
    let mut second = gan();
    second.restore(&mixed).unwrap();
    let after = second.generator_step(16).unwrap();
    let expected = rate * square;
    assert!(
        ((before - after) / expected - 1.0).abs() < 0.05,
        "{before} {after} {expected}"
    );
}

/// The output in `BatchStats`, with the first masks of Dropout.
fn forward(network: &mut Network, x: ArrayView2<'_, f32>) -> Array2<f32> {
    network.visit_counters_mut(&mut |name, value| {
        if name.ends_with("draws") {
            *value = 0;
        }
    });
    network.forward(x, Mode::BatchStats).unwrap().to_owned()
}

#[test]
fn the_gradient_of_the_input_is_that_of_backward_and_changes_nothing() {
    let mut network = discriminator();
    let (x, dout) = (real(16, 0), Array2::from_elem((16, 1), 0.5));
    forward(&mut network, x.view());
    let whole = network.backward(x.view(), dout.view()).unwrap();
    let before = state(&network);
    forward(&mut network, real(16, 9).view());
    forward(&mut network, x.view());
    let dx = network
        .input_gradient(x.view(), dout.view())
        .unwrap()
        .to_owned();
    assert_eq!(dx, whole);
    assert!(dx.iter().any(|&v| v != 0.0));
    assert!(state(&network) == before);
    // And it is the slope of the sum of the outputs.
    let sum = |network: &mut Network, x: ArrayView2<'_, f32>| {
        forward(network, x).mapv(f64::from).sum() * 0.5
    };
    for place in [(0, 0), (3, 20), (15, 63)] {
        let (mut up, mut down) = (x.clone(), x.clone());
        up[place] += 0.01;
        down[place] -= 0.01;
        let slope = (sum(&mut network, up.view()) - sum(&mut network, down.view())) / 0.02;
        assert!(
            (slope - f64::from(dx[place])).abs() < 2e-3,
            "{slope} {}",
            dx[place]
        );
    }
}

#[test]
fn settings_and_networks_that_do_not_fit_are_refused() {
    let narrow = Network::builder(5).affine(63).build(1).unwrap();
    assert!(matches!(
        Gan::new(narrow, discriminator(), 1),
        Err(Error::Layers(_))
    ));
    let two = Network::builder((8, 8, 1)).affine(2).build(1).unwrap();
    assert!(matches!(
        Gan::new(generator(), two, 1),
        Err(Error::Layers(_))
    ));
    assert!(gan().with_discriminator_steps(0).is_err());
    for target in [-0.1, 1.1, f64::NAN] {
        assert!(gan().with_real_target(target).is_err());
        assert!(gan().with_fake_target(target).is_err());
    }
    let mut gan = gan();
    assert!(
        gan.discriminator_step(Array2::zeros((4, 63)).view())
            .is_err()
    );
    assert!(
        gan.discriminator_step(Array2::zeros((0, 64)).view())
            .is_err()
    );
    assert!(gan.generator_step(0).is_err());
}

#[test]
fn values_that_are_not_finite_name_step_network_and_layer_and_change_nothing() {
    let mut images = real(16, 0);
    images[(3, 5)] = f32::NAN;
    let mut gan = gan();
    gan.discriminator_step(real(16, 0).view()).unwrap();
    let before = (state(gan.generator()).0, state(gan.discriminator()).0);
    let error = gan.discriminator_step(images.view()).unwrap_err();
    let message = error.to_string() + &std::error::Error::source(&error).unwrap().to_string();
    assert!(
        message.contains("step 1") && message.contains("discriminator"),
        "{message}"
    );
    assert!(message.contains("the input"), "{message}");
    assert!((state(gan.generator()).0, state(gan.discriminator()).0) == before);

    // A learning rate at which a step makes the weights overflow.
    let wild = || Sgd::new(1e38).unwrap();
    for (generator, named) in [(true, "generator"), (false, "discriminator")] {
        let mut gan = self::gan();
        gan = match generator {
            true => gan.with_optimizers(wild(), Adam::book(1e-3).unwrap()),
            false => gan.with_optimizers(Adam::book(1e-3).unwrap(), wild()),
        };
        let mut run = || {
            for _ in 0..4 {
                gan.discriminator_step(real(16, 0).view())?;
                gan.generator_step(16)?;
            }
            Ok::<_, Error>(())
        };
        let error = run().unwrap_err();
        assert!(
            matches!(&error, Error::Step { network, .. } if *network == named),
            "{error}"
        );
        let message = error.to_string() + &std::error::Error::source(&error).unwrap().to_string();
        assert!(message.contains("layer"), "{message}");
    }
}

fn digits() -> Dataset {
    Dataset::new(real(200, 0), vec![0; 200], (8, 8, 1), 10).unwrap()
}

fn trained(threads: usize, iterations: u64) -> (Vec<f32>, Vec<f32>) {
    Pool::new(threads).unwrap().install(|| {
        let (data, mut gan) = (digits(), gan());
        let mut batches = Batches::new(&data, 64, 5).unwrap();
        let proceed = &mut |_: &GanRecord, _: &Gan| ControlFlow::Continue(());
        gan.train(&mut batches, iterations, proceed).unwrap();
        (state(gan.generator()).0, state(gan.discriminator()).0)
    })
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let one = trained(1, 6);
    for threads in [2, 3, 8] {
        assert!(trained(threads, 6) == one, "{threads} threads");
    }
}

/// Counts the calls, and ends the run at iteration `end`.
#[derive(Default)]
struct Counter {
    steps: usize,
    iterations: Vec<u64>,
    last: Option<BatchState>,
    end: u64,
}

impl GanCallback for Counter {
    fn on_discriminator_step(&mut self, step: &DiscriminatorStep) -> ControlFlow<()> {
        assert!(step.real_loss.is_finite() && step.fake_loss.is_finite());
        self.steps += 1;
        ControlFlow::Continue(())
    }

    fn on_iteration(&mut self, record: &GanRecord, gan: &Gan) -> ControlFlow<()> {
        assert_eq!(record.iteration, gan.iteration());
        self.iterations.push(record.iteration);
        self.last = Some(record.batches);
        if record.iteration == self.end {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// It trains, and continues from a checkpoint to the same bits.
#[test]
fn a_discriminator_may_have_residual_blocks() {
    let conv = |filters| Conv2dConfig::new(filters, 3).same();
    let gan = |seed| {
        let discriminator = Network::builder((8, 8, 1))
            .conv2d(conv(4).stride(2))
            .leaky_relu(0.2)
            .residual(move |b| b.conv2d(conv(4)).batch_norm().relu().dropout(0.25))
            .residual_with(
                move |b| b.conv2d(conv(6).stride(2)).batch_norm(),
                |s| s.conv2d(Conv2dConfig::new(6, 1).stride(2)),
            )
            .relu()
            .affine(1);
        Gan::new(generator(), discriminator.build(2).unwrap(), seed).unwrap()
    };
    let steps = |gan: &mut Gan, seeds: Range<usize>| {
        for seed in seeds {
            gan.discriminator_step(real(16, seed).view()).unwrap();
            gan.generator_step(16).unwrap();
        }
    };
    let mut whole = gan(3);
    let mut before = Vec::new();
    whole
        .discriminator()
        .visit(&mut |p| before.push(p.value.to_vec()));
    steps(&mut whole, 0..3);
    let mut before = before.iter();
    whole.discriminator().visit(&mut |p| {
        assert_ne!(p.value, before.next().unwrap(), "{}", p.name);
    });

    let mut checkpoint = Checkpoint::new();
    whole.add_to(&mut checkpoint).unwrap();
    let mut resumed = gan(77);
    resumed.restore(&checkpoint).unwrap();
    for gan in [&mut whole, &mut resumed] {
        steps(gan, 3..6);
    }
    let bits = |gan: &Gan| (state(gan.generator()), state(gan.discriminator()));
    assert!(bits(&whole) == bits(&resumed));
}

#[test]
fn a_callback_sees_every_step_and_ends_the_run() {
    let (data, gan) = (digits(), gan());
    let mut gan = gan.with_discriminator_steps(3).unwrap();
    let mut batches = Batches::new(&data, 64, 5).unwrap();
    let mut counter = Counter {
        end: 4,
        ..Counter::default()
    };
    gan.train(&mut batches, 100, &mut counter).unwrap();
    assert_eq!(counter.iterations, [1, 2, 3, 4]);
    assert_eq!(counter.steps, 12);
    assert_eq!(gan.iteration(), 4);
}

#[test]
fn a_resumed_run_gives_the_same_bits() {
    let data = digits();
    let mut checkpoint = Checkpoint::new();
    {
        let (mut gan, mut counter) = (gan(), Counter::default());
        let mut batches = Batches::new(&data, 64, 5).unwrap();
        gan.train(&mut batches, 4, &mut counter).unwrap();
        gan.add_to(&mut checkpoint).unwrap();
        checkpoint
            .add_batches("batches", counter.last.unwrap())
            .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gan.safetensors");
    checkpoint.save(&path).unwrap();
    let checkpoint = Checkpoint::load(&path).unwrap();
    // With another seed, because everything comes from the file.
    let mut gan = Gan::new(generator(), discriminator(), 77).unwrap();
    gan.restore(&checkpoint).unwrap();
    let mut batches = Batches::new(&data, 64, 99).unwrap();
    batches
        .restore(checkpoint.batches("batches").unwrap())
        .unwrap();
    gan.train(&mut batches, 9, &mut Counter::default()).unwrap();
    let whole = trained(1, 9);
    assert!((state(gan.generator()).0, state(gan.discriminator()).0) == whole);
}
