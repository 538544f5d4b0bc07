//! The two DCGANs of the examples, and the file that a training run writes.

use anyhow::{Context, Result};
use batchnorm::tensor::update;
use batchnorm::{
    BatchNormConfig, Checkpoint, Conv2dConfig, Gan, Init, LayerExt, Network, Padding,
    net::NetworkBuilder,
};
use clap::ValueEnum;
use std::path::Path;

/// The number of noise values that an image is generated from.
pub const LATENT: usize = 100;
/// The height and width of an image.
pub const SIDE: usize = 28;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Recipe {
    /// 4×4 kernels with stride 2, a hidden layer of 1024 in both networks, and Batch Normalization
    /// before every activation except the generator's last and the discriminator's first
    Dcgan,
    /// The networks of a well-known Keras example: 3×3 kernels, one Batch Normalization after the
    /// activation
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
    pub fn gan(self, seed: u64) -> Result<Gan> {
        let generator = self.generator().build(seed)?;
        let discriminator = self.discriminator().build(seed.wrapping_add(1))?;
        let gan = Gan::new(generator, discriminator, seed.wrapping_add(2))?;
        Ok(match self {
            Self::Seed => gan,
            Self::Dcgan => gan.with_real_target(0.9)?,
        })
    }

    /// Noise to images of 28×28 values from −1 to 1. `Dcgan` has the layers of InfoGAN's networks
    /// for MNIST (arXiv:1606.03657), which follow the DCGAN paper and add a hidden layer. Without
    /// that layer the strokes of a digit did not fit together: the classifier was at least 90 %
    /// confident on 70 % of the digits after ten epochs. With it, that many are reached within the
    /// first epoch.
    pub fn generator(self) -> NetworkBuilder<f32> {
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

    /// Images to the logit of the probability that they are real.
    pub fn discriminator(self) -> NetworkBuilder<f32> {
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

/// The generator whose images are shown. In the recipe `dcgan` its parameters, including running
/// statistics, are an exponential moving average of the trained generator's over about the last
/// thousand steps (arXiv:1806.04498); its digits change less from step to step. In `seed` they are
/// those of the trained generator.
pub struct AveragedGenerator {
    pub network: Network,
    decay: f32,
    current: Vec<f32>, // the trained generator's parameters
}

impl AveragedGenerator {
    pub fn new(recipe: Recipe, seed: u64) -> Result<Self> {
        Ok(Self {
            network: recipe.generator().build(seed)?,
            decay: match recipe {
                Recipe::Dcgan => 0.999,
                Recipe::Seed => 0.0,
            },
            current: Vec::new(),
        })
    }

    /// Adds the generator's parameters to the average. The first steps count for more, so that the
    /// average soon forgets the initial parameters.
    pub fn update(&mut self, gan: &Gan) -> Result<()> {
        let steps = gan.iteration() as f32;
        let kept = self.decay.min((1.0 + steps) / (10.0 + steps));
        self.current.clear();
        gan.generator()
            .visit(&mut |p| self.current.extend_from_slice(p.value));
        let (mut current, mut result) = (&self.current[..], Ok(()));
        self.network.visit_mut(&mut |p| {
            let (values, rest) = current.split_at(p.value.len());
            current = rest;
            let moved = update(p.value, values, |mean, value| {
                *mean = kept * *mean + (1.0 - kept) * value;
            });
            result = std::mem::replace(&mut result, Ok(())).and(moved);
        });
        Ok(result?)
    }
}

/// Loads the file that `dcgan` writes.
pub fn load(path: &Path) -> Result<(Recipe, Gan, AveragedGenerator)> {
    let checkpoint = Checkpoint::load(path)?;
    let recipe: String = checkpoint.value("recipe")?;
    let recipe = Recipe::from_str(&recipe, false)
        .ok()
        .with_context(|| format!("{} has the unknown recipe {recipe:?}", path.display()))?;
    let mut gan = recipe.gan(0)?;
    gan.restore(&checkpoint)?;
    let mut averaged = AveragedGenerator::new(recipe, 0)?;
    checkpoint.restore_network("averaged_generator", &mut averaged.network)?;
    Ok((recipe, gan, averaged))
}
