use super::noise::Noise;
use crate::{
    error::Error,
    file::{Checkpoint, NetworkState, OptimizerValues},
    loss::BinaryCrossEntropy,
    network::{Network, Wanted},
    optimizer::{Adam, Optimizer},
};
use bn_layers::{Layer, Mode, Outcome, Pass};
use bn_tensor::{Scalar, check_setting, enter_pool, keep_awake};
use ndarray::{Array2, ArrayView2};

/// A generative adversarial network (arXiv:1406.2661): a generator that turns noise into images, and
/// a discriminator that distinguishes them from real ones, trained in turn.
///
/// ```text
/// discriminator   BCE(D(x), 1) and then BCE(D(G(z)), 0), an update for each
/// generator       BCE(D(G(z)), 1) through D, whose parameters stay as they are
/// ```
///
/// The discriminator ends with one logit. Each network has its own optimizer, which changes only that
/// network, so nothing has to be frozen: the generator's loss passes back through the discriminator
/// without changing its gradients or its running statistics. By default both optimizers are Adam in the
/// book's and Keras' form with a learning rate of 2e-4 and beta1 0.5 (the DCGAN paper, arXiv:1511.06434);
/// [`with_optimizers`](Self::with_optimizers) sets others.
///
/// The generator normalises by the statistics of its batch and updates its running statistics. By default
/// the fakes for the discriminator are normalised by their batch too ([`Mode::BatchStats`]): in
/// [`Mode::Eval`] they would differ from those that the generator learns from.
///
/// The same seed, networks and batches give the same bits at any number of threads. Once warm, a
/// step allocates nothing.
///
/// ```
/// use bn_net::{Gan, Network};
/// use ndarray::Array2;
/// let generator = Network::builder(4).affine(16).batch_norm().relu().affine(2).build(1)?;
/// let discriminator = Network::builder(2).affine(16).leaky_relu(0.2).affine(1).build(2)?;
/// let mut gan = Gan::new(generator, discriminator, 3)?.with_real_target(0.9)?;
/// let real = Array2::from_shape_fn((32, 2), |(n, d)| ((n * 2 + d) as f32).sin());
/// for _ in 0..20 {
///     let step = gan.discriminator_step(real.view())?;
///     assert!(step.real_accuracy <= 1.0);
///     gan.generator_step(32)?;
/// }
/// let z = gan.noise(7, 5)?; // the same five points whenever the seed is 7
/// assert_eq!(gan.generator().predict(z.view())?.dim(), (5, 2));
/// # Ok::<(), bn_net::Error>(())
/// ```
///
/// # Errors
/// [`Error::Step`] names the iteration and the network that failed, for example because of a loss that is
/// not finite. The update that failed has changed nothing; earlier updates stand.
#[derive(Debug)]
pub struct Gan<T: Scalar = f32> {
    generator: Side<T>,
    discriminator: Side<T>,
    fakes: Mode,
    pub(super) discriminator_steps: usize,
    real_target: f64,
    fake_target: f64,
    noise: Noise<T>,
    targets: Vec<T>,           // (n)
    pub(super) iteration: u64, // finished ones
}

/// One of the two networks, and its optimizer.
struct Side<T: Scalar> {
    name: &'static str,
    network: Network<T>,
    optimizer: Box<dyn Optimizer<T>>,
}

/// The state of a side in a checkpoint, which fits it.
type Stored<T> = (NetworkState<T>, OptimizerValues<T>);

impl<T: Scalar> std::fmt::Debug for Side<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.network.fmt(f)
    }
}

impl<T: Scalar> Side<T> {
    fn new(name: &'static str, network: Network<T>) -> Result<Self, Error> {
        let optimizer = Box::new(Adam::book(2e-4)?.with_betas(0.5, 0.999)?);
        Ok(Self {
            name,
            network,
            optimizer,
        })
    }

    fn stored(&self, checkpoint: &Checkpoint) -> Result<Stored<T>, Error> {
        let (name, optimizer) = (self.name, &*self.optimizer);
        Ok((
            checkpoint.network_state(name, &self.network)?,
            checkpoint.optimizer_values(&optimizer_of(name), optimizer, &self.network)?,
        ))
    }

    fn set_learning_rate(&mut self, (_, optimizer): &Stored<T>) -> Result<(), Error> {
        self.optimizer.set_learning_rate(optimizer.learning_rate)
    }

    fn restore(&mut self, (network, optimizer): Stored<T>) {
        network.give_to(&mut self.network);
        optimizer.give_to(&mut *self.optimizer);
    }

    /// Adds the iteration and the network to an error.
    fn at<V>(&self, iteration: u64, result: Result<V, Error>) -> Result<V, Error> {
        result.map_err(|source| Error::Step {
            step: iteration.saturating_add(1),
            network: self.name,
            source: Box::new(source),
        })
    }
}

/// How well the discriminator classifies real images and fakes, before its update by each.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiscriminatorStep {
    /// The loss of the real images.
    pub real_loss: f64,
    /// The loss of the fakes.
    pub fake_loss: f64,
    /// The share of the real images that were classified as real.
    pub real_accuracy: f64,
    /// The share of the fakes that were classified as fakes.
    pub fake_accuracy: f64,
}

impl<T: Scalar> Gan<T> {
    /// From two networks; all noise is drawn from `seed`.
    ///
    /// # Errors
    /// [`Error::Layers`] when the generator's output is not the discriminator's input, or the
    /// discriminator has more outputs than one.
    pub fn new(generator: Network<T>, discriminator: Network<T>, seed: u64) -> Result<Self, Error> {
        discriminator.output_shape(generator.output())?;
        if discriminator.output().size() != 1 {
            let got = [discriminator.output().size()];
            let op = "Gan: the discriminator's output";
            return Err(Error::Layers(
                bn_tensor::Error::shape(op, &[1], &got).into(),
            ));
        }
        Ok(Self {
            noise: Noise::new(seed, generator.input().size()),
            generator: Side::new("generator", generator)?,
            discriminator: Side::new("discriminator", discriminator)?,
            fakes: Mode::BatchStats,
            discriminator_steps: 1,
            real_target: 1.0,
            fake_target: 0.0,
            targets: Vec::new(),
            iteration: 0,
        })
    }

    /// The same with other optimizers.
    #[must_use]
    pub fn with_optimizers(
        mut self,
        generator: impl Optimizer<T> + 'static,
        discriminator: impl Optimizer<T> + 'static,
    ) -> Self {
        self.generator.optimizer = Box::new(generator);
        self.discriminator.optimizer = Box::new(discriminator);
        self
    }

    /// The same with the discriminator's fakes made in another mode: [`Mode::Train`] updates the
    /// generator's running statistics by them too, [`Mode::Eval`] normalises by those.
    #[must_use]
    pub fn with_fakes(mut self, mode: Mode) -> Self {
        self.fakes = mode;
        self
    }

    /// The same with this many steps of the discriminator, each on its own batch, before each step of the
    /// generator. The default is 1.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for 0.
    pub fn with_discriminator_steps(mut self, steps: usize) -> Result<Self, Error> {
        let what = "the number of discriminator steps";
        check_setting(what, "at least 1", steps as f64, steps > 0)?;
        self.discriminator_steps = steps;
        Ok(self)
    }

    /// The same with another target than 1 of the real images, only for the discriminator: 0.9 is the
    /// one-sided label smoothing of arXiv:1606.03498.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] unless it is between 0 and 1.
    pub fn with_real_target(mut self, target: f64) -> Result<Self, Error> {
        check_target(target)?;
        self.real_target = target;
        Ok(self)
    }

    /// The same with another target than 0 of the fakes, only for the discriminator.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] unless it is between 0 and 1.
    pub fn with_fake_target(mut self, target: f64) -> Result<Self, Error> {
        check_target(target)?;
        self.fake_target = target;
        Ok(self)
    }

    /// The generator; [`Network::predict`] makes images of it.
    pub fn generator(&self) -> &Network<T> {
        &self.generator.network
    }

    /// The discriminator.
    pub fn discriminator(&self) -> &Network<T> {
        &self.discriminator.network
    }

    /// The number of iterations that [`train`](Self::train) has finished.
    pub fn iteration(&self) -> u64 {
        self.iteration
    }

    /// `n` points `(n, D)` of the normal distribution, as input of the generator. The same seed gives the
    /// same points, and more of them for a larger `n`. Training does not use them.
    ///
    /// # Errors
    /// [`bn_tensor::Error::TooLarge`] if there is no memory for so many points.
    pub fn noise(&self, seed: u64, n: usize) -> Result<Array2<T>, Error> {
        self.noise.fixed(seed, n)
    }

    /// Updates the discriminator twice: by the images `real: (N, D)`, and by N fakes.
    ///
    /// # Errors
    /// [`Error::Step`].
    pub fn discriminator_step(
        &mut self,
        real: ArrayView2<'_, T>,
    ) -> Result<DiscriminatorStep, Error> {
        let n = real.nrows();
        enter_pool(|| {
            keep_awake(|| {
                let (real_loss, classified_real) = self.train_discriminator(Images::Real(real))?;
                let (fake_loss, fakes_classified_real) =
                    self.with_fakes_of(n, self.fakes, |gan| {
                        gan.train_discriminator(Images::Fakes)
                    })?;
                let share = |count: usize| count as f64 / n as f64;
                Ok(DiscriminatorStep {
                    real_loss,
                    fake_loss,
                    real_accuracy: share(classified_real),
                    fake_accuracy: share(n - fakes_classified_real),
                })
            })
        })
    }

    /// Makes `n` fakes, the generator's last output then, and runs `f` on them. The generator's pass
    /// and the draw of the noise stand if `f` succeeds, and are taken back if it fails.
    fn with_fakes_of<R>(
        &mut self,
        n: usize,
        mode: Mode,
        f: impl FnOnce(&mut Self) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let noise = self.noise.state();
        let drawn = self.noise.draw(n);
        self.generator.at(self.iteration, drawn)?;
        let (generator, z) = (&mut self.generator.network, self.noise.last());
        let fakes = generator
            .pass(z, &Pass::new(mode))
            .and_then(|()| generator.check_finite_output(z));
        let result = self
            .generator
            .at(self.iteration, fakes)
            .and_then(|()| f(self));
        self.generator.network.settle(match result {
            Ok(_) => Outcome::Stands,
            Err(_) => Outcome::TakenBack,
        });
        if result.is_err() {
            self.noise.restore(noise);
        }
        result
    }

    /// Updates the discriminator by some images: the loss before, and how many of them it
    /// classified as real.
    fn train_discriminator(&mut self, images: Images<'_, T>) -> Result<(f64, usize), Error> {
        let (x, target) = match images {
            Images::Real(x) => (x, self.real_target),
            Images::Fakes => (self.generator.network.last_output()?, self.fake_target),
        };
        let t = filled(&mut self.targets, x.nrows(), target);
        let (loss, side) = (
            &mut BinaryCrossEntropy::on_logits(),
            &mut self.discriminator,
        );
        let step = side
            .network
            .train_step(x, t.into(), loss, &mut *side.optimizer);
        let loss = side.at(self.iteration, step)?;
        let logits = side.network.last_output()?;
        Ok((loss, logits.iter().filter(|&&z| z > T::zero()).count()))
    }

    /// Updates the generator by `n` fakes, which the discriminator should classify as real; returns
    /// the loss before.
    ///
    /// # Errors
    /// [`Error::Step`].
    pub fn generator_step(&mut self, n: usize) -> Result<f64, Error> {
        enter_pool(|| {
            keep_awake(|| {
                self.with_fakes_of(n, Mode::Train, |gan| {
                    let loss = gan.adversarial_loss();
                    let loss = gan.discriminator.at(gan.iteration, loss)?;
                    let update = gan.update_generator();
                    gan.generator.at(gan.iteration, update)?;
                    Ok(loss)
                })
            })
        })
    }

    /// The discriminator's loss as if the last fakes were real, and its gradient with respect to
    /// them. The discriminator stays as it is, but for its Dropouts' draws.
    fn adversarial_loss(&mut self) -> Result<f64, Error> {
        let fakes = self.generator.network.last_output()?;
        let t = filled(&mut self.targets, fakes.nrows(), 1.0);
        let (discriminator, pass) = (&mut self.discriminator.network, Pass::new(Mode::BatchStats));
        let loss = &mut BinaryCrossEntropy::on_logits();
        let result = discriminator
            .loss(fakes, t.into(), loss, &pass)
            .and_then(|loss| {
                discriminator.pass_back(fakes, Wanted::Input, &pass)?;
                Ok(loss)
            });
        if result.is_err() {
            discriminator.settle(Outcome::TakenBack);
        }
        result
    }

    /// Updates the generator by the gradient of [`adversarial_loss`](Self::adversarial_loss); the
    /// discriminator's pass ends with it.
    fn update_generator(&mut self) -> Result<(), Error> {
        let (generator, discriminator) = (&mut self.generator, &mut self.discriminator.network);
        let network = &mut generator.network;
        let result = network
            .set_dout(discriminator.gradient_of_input()?)
            .and_then(|()| {
                network.pass_back(self.noise.last(), Wanted::Params, &Pass::new(Mode::Train))
            })
            .and_then(|()| generator.optimizer.step(network));
        discriminator.settle(match result {
            Ok(()) => Outcome::Stands,
            Err(_) => Outcome::TakenBack,
        });
        result
    }

    /// Adds the whole state: both networks and optimizers, the noise drawn, the iteration.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if a name is taken; the checkpoint is then unchanged.
    pub fn add_to(&self, checkpoint: &mut Checkpoint) -> Result<(), Error> {
        let mut added = Checkpoint::new();
        for Side {
            name,
            network,
            optimizer,
        } in [&self.generator, &self.discriminator]
        {
            added.add_network(name, network)?;
            added.add_optimizer(&optimizer_of(name), &**optimizer)?;
        }
        added.add_value("noise", &self.noise.state())?;
        added.add_value("iteration", &self.iteration)?;
        checkpoint.append(added)
    }

    /// Resumes from a state that [`add_to`](Self::add_to) saved, of a GAN with the same settings.
    ///
    /// # Errors
    /// As [`Checkpoint::restore_network`] and [`Checkpoint::restore_optimizer`]; the GAN is then
    /// unchanged.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let (noise, iteration) = (checkpoint.value("noise")?, checkpoint.value("iteration")?);
        let (generator, discriminator) = (&mut self.generator, &mut self.discriminator);
        let of_generator = generator.stored(checkpoint)?;
        let of_discriminator = discriminator.stored(checkpoint)?;
        // Only a learning rate can still be refused.
        let before = generator.optimizer.learning_rate();
        generator.set_learning_rate(&of_generator)?;
        if let Err(error) = discriminator.set_learning_rate(&of_discriminator) {
            generator.optimizer.set_learning_rate(before)?;
            return Err(error);
        }
        generator.restore(of_generator);
        discriminator.restore(of_discriminator);
        self.noise.restore(noise);
        self.iteration = iteration;
        Ok(())
    }
}

/// What the discriminator classifies: the images of a batch, or the generator's last output.
enum Images<'a, T> {
    Real(ArrayView2<'a, T>),
    Fakes,
}

/// `n` targets of this value, `(n, 1)`.
fn filled<T: Scalar>(targets: &mut Vec<T>, n: usize, target: f64) -> ArrayView2<'_, T> {
    targets.clear();
    targets.resize(n, T::from_f64(target));
    ArrayView2::from_shape((n, 1), targets.as_slice()).unwrap_or_else(|_| unreachable!())
}

fn check_target(target: f64) -> Result<(), Error> {
    let passes = (0.0..=1.0).contains(&target);
    Ok(check_setting(
        "a target",
        "between 0 and 1",
        target,
        passes,
    )?)
}

fn optimizer_of(name: &str) -> String {
    format!("{name}_optimizer")
}
