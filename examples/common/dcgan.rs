//! The two DCGANs of the examples, and the file that a training run leaves.

use anyhow::{Context, Result};
use batchnorm::tensor::update;
use batchnorm::{
    BatchNormConfig, Checkpoint, Conv2dConfig, Gan, Init, LayerExt, Network, Padding,
    net::NetworkBuilder,
};
use clap::ValueEnum;
use std::path::Path;

/// Values of the noise that an image is made of.
pub(crate) const LATENT: usize = 100;
/// Height and width of an image.
pub(crate) const SIDE: usize = 28;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Recipe {
    /// Batch Normalization before every activation but the outermost ones, kernels of 4, strides of 2;
    /// a hidden layer of 1024 at either end
    Dcgan,
    /// The well-known Keras one: kernels of 3, one Batch Normalization after its activation
    Seed,
}

impl std::fmt::Display for Recipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Dcgan => "dcgan",
            Self::Seed => "seed",
        })
    }
}

impl Recipe {
    pub(crate) fn gan(self, seed: u64) -> Result<Gan> {
        let generator = self.generator().build(seed)?;
        let discriminator = self.discriminator().build(seed.wrapping_add(1))?;
        let gan = Gan::new(generator, discriminator, seed.wrapping_add(2))?;
        Ok(match self {
            Self::Seed => gan,
            Self::Dcgan => gan.with_real_target(0.9)?,
        })
    }

    /// Noise to images of 28×28 values from −1 to 1. `Dcgan` has the layers of InfoGAN's for MNIST
    /// (arXiv:1606.03657): what the DCGAN paper recommends, and a hidden layer before the images, without
    /// which strokes did not fit each other (70 % of digits told with a probability of 0.9 after ten
    /// epochs, as many as this has before the first one ends).
    pub(crate) fn generator(self) -> NetworkBuilder<f32> {
        let doubled = |filters| {
            Conv2dConfig::new(filters, 4)
                .stride(2)
                .padding(Padding::all(1))
        };
        let doubled_same = |filters| Conv2dConfig::new(filters, 3).stride(2).same();
        let builder = Network::builder(LATENT);
        match self {
            Self::Dcgan => builder
                .init(Init::Std(0.02))
                .affine_without_bias(1024)
                .batch_norm()
                .relu()
                .affine_without_bias(7 * 7 * 128)
                .reshape((7, 7, 128))
                .batch_norm()
                .relu()
                .conv_transpose2d(doubled(64).without_bias())
                .batch_norm()
                .relu()
                .conv_transpose2d(doubled(1))
                .tanh(),
            Self::Seed => builder
                .init(Init::XavierUniform)
                .affine(7 * 7 * 128)
                .leaky_relu(0.2)
                .reshape((7, 7, 128))
                .conv_transpose2d(doubled_same(64))
                .leaky_relu(0.2)
                .batch_norm_with(BatchNormConfig::keras())
                .conv_transpose2d(doubled_same(1))
                .tanh(),
        }
    }

    /// Images to the logit of being real.
    pub(crate) fn discriminator(self) -> NetworkBuilder<f32> {
        let halved = |filters| {
            Conv2dConfig::new(filters, 4)
                .stride(2)
                .padding(Padding::all(1))
        };
        let builder = Network::builder((SIDE, SIDE, 1));
        match self {
            Self::Dcgan => builder
                .init(Init::Std(0.02))
                .conv2d(halved(64))
                .leaky_relu(0.2)
                .conv2d(halved(128).without_bias())
                .batch_norm()
                .leaky_relu(0.2)
                .affine_without_bias(1024)
                .batch_norm()
                .leaky_relu(0.2)
                .affine(1),
            Self::Seed => builder
                .init(Init::XavierUniform)
                .conv2d(Conv2dConfig::new(64, 3).same())
                .leaky_relu(0.2)
                .dropout(0.25)
                .conv2d(Conv2dConfig::new(128, 3).stride(2).same())
                .leaky_relu(0.2)
                .dropout(0.25)
                .flatten()
                .affine(1),
        }
    }
}

/// The generator that draws. In the recipe `dcgan` its parameters, running statistics included, are the
/// mean of those that the trained one had in its last thousand steps or so, which draws steadier digits
/// than any of them (arXiv:1806.04498); in `seed` they are those of the trained one.
pub(crate) struct Artist {
    pub(crate) network: Network,
    decay: f32,
    now: Vec<f32>, // the generator's parameters
}

impl Artist {
    pub(crate) fn new(recipe: Recipe, seed: u64) -> Result<Self> {
        Ok(Self {
            network: recipe.generator().build(seed)?,
            decay: match recipe {
                Recipe::Dcgan => 0.999,
                Recipe::Seed => 0.0,
            },
            now: Vec::new(),
        })
    }

    /// Takes over, in part, what the generator has become: most of it in the beginning.
    pub(crate) fn follow(&mut self, gan: &Gan) -> Result<()> {
        let steps = gan.iteration() as f32;
        let kept = self.decay.min((1.0 + steps) / (10.0 + steps));
        self.now.clear();
        gan.generator()
            .visit(&mut |p| self.now.extend_from_slice(p.value));
        let (mut now, mut result) = (&self.now[..], Ok(()));
        self.network.visit_mut(&mut |p| {
            let (values, rest) = now.split_at(p.value.len());
            now = rest;
            let moved = update(p.value, values, |mean, value| {
                *mean = kept * *mean + (1.0 - kept) * value;
            });
            result = std::mem::replace(&mut result, Ok(())).and(moved);
        });
        Ok(result?)
    }
}

/// What is in the file that `dcgan` leaves.
pub(crate) fn load(path: &Path) -> Result<(Recipe, Gan, Artist)> {
    let checkpoint = Checkpoint::load(path)?;
    let recipe: String = checkpoint.value("recipe")?;
    let recipe = Recipe::from_str(&recipe, false)
        .ok()
        .with_context(|| format!("{} is of an unknown recipe {recipe:?}", path.display()))?;
    let mut gan = recipe.gan(0)?;
    gan.restore(&checkpoint)?;
    let mut artist = Artist::new(recipe, 0)?;
    checkpoint.restore_network("artist", &mut artist.network)?;
    Ok((recipe, gan, artist))
}
