mod noise;
mod run;

pub use run::{GanCallback, GanRecord};

use crate::{
    Adam, BinaryCrossEntropy, Checkpoint, Error, Network, Optimizer, error::check_setting,
    network::Wanted,
};
use bn_layers::{Layer, Mode};
use bn_tensor::{Scalar, enter_pool, keep_awake};
use ndarray::{Array2, ArrayView2};
use noise::Noise;

/// A generative adversarial network (arXiv:1406.2661): a generator that makes images of noise, and a
/// discriminator that tells them from real ones, trained in turn.
///
/// ```text
/// discriminator   BCE(D(x), 1) and then BCE(D(G(z)), 0), an update for each
/// generator       BCE(D(G(z)), 1) through D, whose parameters stay as they are
/// ```
///
/// The discriminator ends with one logit. Each network has an optimizer of its own, which moves that
/// network alone, so nothing has to be frozen: the generator's loss passes back through the
/// discriminator without touching its gradients or its running statistics. Both optimizers are Adam
/// in the book's and Keras' form with a learning rate of 2e-4 and beta1 0.5 (the DCGAN paper,
/// arXiv:1511.06434) until [said otherwise](Self::with_optimizers).
///
/// The generator trains on the statistics of its batch, [`Mode::BatchStats`], and its running
/// statistics follow. By default the discriminator is shown fakes of that same mode, not those of
/// [`Mode::Eval`], which it would never meet while the generator learns.
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
/// let z = gan.noise(7, 5); // the same five points whenever the seed is 7
/// assert_eq!(gan.generator().predict(z.view())?.dim(), (5, 2));
/// # Ok::<(), bn_net::Error>(())
/// ```
///
/// # Errors
/// [`Error::Step`] says in which iteration and which network something went wrong, a loss that is
/// not finite among them. The update that failed has then changed nothing; those before it stand.
#[derive(Debug)]
pub struct Gan<T: Scalar = f32> {
    generator: Player<T>,
    discriminator: Player<T>,
    fakes: Mode,
    discriminator_steps: usize,
    real_target: f64,
    fake_target: f64,
    noise: Noise<T>,
    targets: Vec<T>, // (n)
    iteration: u64,  // finished ones
}

/// One of the two, and what moves it.
struct Player<T> {
    name: &'static str,
    network: Network<T>,
    optimizer: Box<dyn Optimizer<T>>,
}

impl<T: Scalar> std::fmt::Debug for Player<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.network.fmt(f)
    }
}

impl<T: Scalar> Player<T> {
    fn new(name: &'static str, network: Network<T>) -> Result<Self, Error> {
        let optimizer = Box::new(Adam::book(2e-4)?.with_betas(0.5, 0.999)?);
        Ok(Self {
            name,
            network,
            optimizer,
        })
    }

    /// Says where in the run an error came.
    fn at<V>(&self, iteration: u64, result: Result<V, Error>) -> Result<V, Error> {
        result.map_err(|source| Error::Step {
            step: iteration + 1,
            network: self.name,
            source: Box::new(source),
        })
    }
}

/// How well the discriminator tells real from fake, before its update by each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiscriminatorStep {
    /// The loss of the real images.
    pub real_loss: f64,
    /// The loss of the fakes.
    pub fake_loss: f64,
    /// The share of the real images that were taken for real.
    pub real_accuracy: f64,
    /// The share of the fakes that were taken for fakes.
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
            generator: Player::new("generator", generator)?,
            discriminator: Player::new("discriminator", discriminator)?,
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

    /// The same with the discriminator's fakes made in another mode: [`Mode::Train`] moves the
    /// generator's running statistics by them too, [`Mode::Eval`] normalises by those.
    #[must_use]
    pub fn with_fakes(mut self, mode: Mode) -> Self {
        self.fakes = mode;
        self
    }

    /// The same with so many steps of the discriminator, each on a batch of its own, before each of
    /// the generator; 1 until said otherwise.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for 0.
    pub fn with_discriminator_steps(mut self, steps: usize) -> Result<Self, Error> {
        let what = "the number of discriminator steps";
        check_setting(what, "at least 1", steps as f64, steps > 0)?;
        self.discriminator_steps = steps;
        Ok(self)
    }

    /// The same with another target than 1 of the real images, for the discriminator alone: 0.9 is
    /// the one-sided label smoothing of arXiv:1606.03498.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] unless it is between 0 and 1.
    pub fn with_real_target(mut self, target: f64) -> Result<Self, Error> {
        check_target(target)?;
        self.real_target = target;
        Ok(self)
    }

    /// The same with another target than 0 of the fakes, for the discriminator alone.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] unless it is between 0 and 1.
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

    /// `n` points `(n, D)` of the normal distribution for the generator, the same for the same seed
    /// and any `n` that reaches as far. Training draws its own.
    pub fn noise(&self, seed: u64, n: usize) -> Array2<T> {
        self.noise.fixed(seed, n)
    }

    /// Moves the discriminator twice: by the images `real: (N, D)`, and by N fakes.
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
                let (real_loss, taken_for_real) = self.show(Shown::Real(real))?;
                self.noise.draw(n);
                let (generator, z) = (&mut self.generator.network, self.noise.last());
                let fakes = made(generator, z, self.fakes);
                self.generator.at(self.iteration, fakes)?;
                let (fake_loss, fakes_taken_for_real) = self.show(Shown::Fakes)?;
                let share = |count: usize| count as f64 / n as f64;
                Ok(DiscriminatorStep {
                    real_loss,
                    fake_loss,
                    real_accuracy: share(taken_for_real),
                    fake_accuracy: share(n - fakes_taken_for_real),
                })
            })
        })
    }

    /// Moves the discriminator by some images: the loss before, and how many it took for real.
    fn show(&mut self, shown: Shown<'_, T>) -> Result<(f64, usize), Error> {
        let (x, target) = match shown {
            Shown::Real(x) => (x, self.real_target),
            Shown::Fakes => (self.generator.network.last_output()?, self.fake_target),
        };
        let t = filled(&mut self.targets, x.nrows(), target);
        let (loss, player) = (
            &mut BinaryCrossEntropy::on_logits(),
            &mut self.discriminator,
        );
        let step = player
            .network
            .train_step(x, t.into(), loss, &mut *player.optimizer);
        let loss = player.at(self.iteration, step)?;
        let logits = player.network.last_output()?;
        Ok((loss, logits.iter().filter(|&&z| z > T::zero()).count()))
    }

    /// Moves the generator by `n` fakes, which the discriminator is to take for real; the loss
    /// before.
    ///
    /// # Errors
    /// [`Error::Step`].
    pub fn generator_step(&mut self, n: usize) -> Result<f64, Error> {
        enter_pool(|| {
            keep_awake(|| {
                self.noise.draw(n);
                let (z, generator) = (self.noise.last(), &mut self.generator.network);
                let fakes = made(generator, z, Mode::BatchStats);
                self.generator.at(self.iteration, fakes)?;
                let judged = self.judge();
                if judged.is_err() {
                    self.generator.network.forget_forward();
                }
                let loss = self.discriminator.at(self.iteration, judged)?;
                let learned = self.learn();
                self.generator.at(self.iteration, learned)?;
                Ok(loss)
            })
        })
    }

    /// The discriminator's loss if the last fakes were real, and its gradient with respect to them.
    fn judge(&mut self) -> Result<f64, Error> {
        let fakes = self.generator.network.last_output()?;
        let t = filled(&mut self.targets, fakes.nrows(), 1.0);
        let discriminator = &mut self.discriminator.network;
        let loss = discriminator.loss(fakes, t.into(), &mut BinaryCrossEntropy::on_logits())?;
        discriminator.pass_back(fakes, Wanted::Input)?;
        Ok(loss)
    }

    /// Moves the generator by the gradient of [`judge`](Self::judge).
    fn learn(&mut self) -> Result<(), Error> {
        let Player {
            network, optimizer, ..
        } = &mut self.generator;
        network.set_dout(self.discriminator.network.gradient_of_input()?)?;
        network.pass_back(self.noise.last(), Wanted::Params)?;
        optimizer.step(network)?;
        network.update_running();
        Ok(())
    }

    /// Adds the whole state: both networks and optimizers, the noise drawn, the iteration.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when a name is taken.
    pub fn add_to(&self, checkpoint: &mut Checkpoint) -> Result<(), Error> {
        for Player {
            name,
            network,
            optimizer,
        } in [&self.generator, &self.discriminator]
        {
            checkpoint.add_network(name, network)?;
            checkpoint.add_optimizer(&optimizer_of(name), &**optimizer)?;
        }
        checkpoint.add_value("noise", &self.noise.state())?;
        checkpoint.add_value("iteration", &self.iteration)
    }

    /// Goes on from a state that [`add_to`](Self::add_to) kept, of a GAN made with the same settings.
    ///
    /// # Errors
    /// [`Error::Checkpoint`]; parts of the state may then be restored, and the GAN is not to be used.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let (noise, iteration) = (checkpoint.value("noise")?, checkpoint.value("iteration")?);
        for Player {
            name,
            network,
            optimizer,
        } in [&mut self.generator, &mut self.discriminator]
        {
            checkpoint.restore_network(name, network)?;
            checkpoint.restore_optimizer(&optimizer_of(name), &mut **optimizer, network)?;
        }
        self.noise.restore(noise);
        self.iteration = iteration;
        Ok(())
    }
}

/// What the discriminator is shown: the images of a batch, or the generator's last output.
enum Shown<'a, T> {
    Real(ArrayView2<'a, T>),
    Fakes,
}

/// Makes fakes of `z`, the generator's last output then.
fn made<T: Scalar>(
    generator: &mut Network<T>,
    z: ArrayView2<'_, T>,
    mode: Mode,
) -> Result<(), Error> {
    let fakes = generator.forward(z, mode)?;
    if fakes.iter().any(|v| !v.is_finite()) {
        return Err(generator.abandon(z));
    }
    Ok(())
}

/// `n` targets of this value, `(n, 1)`.
fn filled<T: Scalar>(targets: &mut Vec<T>, n: usize, target: f64) -> ArrayView2<'_, T> {
    targets.clear();
    targets.resize(n, T::from_f64(target));
    ArrayView2::from_shape((n, 1), targets.as_slice()).unwrap_or_else(|_| unreachable!())
}

fn check_target(target: f64) -> Result<(), Error> {
    let passes = (0.0..=1.0).contains(&target);
    check_setting("a target", "between 0 and 1", target, passes)
}

fn optimizer_of(name: &str) -> String {
    format!("{name}_optimizer")
}
