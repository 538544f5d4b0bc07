//! What is measured.

use anyhow::Result;
use bn_examples::dcgan::Recipe;
use bn_net::{BinaryCrossEntropy, Loss, Network, SoftmaxWithLoss};

pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Images of all ranks together; for weak scaling, of each rank.
    pub(crate) batch: usize,
    pub(crate) is_weak: bool,
    is_discriminator: bool,
}

/// The big step of the benchmarks, and a DCGAN's discriminator on MNIST.
pub(crate) const CASES: [Case; 4] = [
    Case {
        name: "big, strong",
        batch: 1024,
        is_weak: false,
        is_discriminator: false,
    },
    Case {
        name: "big, weak",
        batch: 512,
        is_weak: true,
        is_discriminator: false,
    },
    Case {
        name: "discriminator, strong",
        batch: 512,
        is_weak: false,
        is_discriminator: true,
    },
    Case {
        name: "discriminator, weak",
        batch: 256,
        is_weak: true,
        is_discriminator: true,
    },
];

impl Case {
    /// The images of a step.
    pub(crate) fn rows(&self, ranks: usize) -> usize {
        match self.is_weak {
            true => self.batch * ranks,
            false => self.batch,
        }
    }

    pub(crate) fn network(&self) -> Result<(Network, Box<dyn Loss<f32>>)> {
        if self.is_discriminator {
            let network = Recipe::Dcgan.discriminator().build(1)?;
            return Ok((network, Box::new(BinaryCrossEntropy::on_logits())));
        }
        let mut builder = Network::builder(784);
        for _ in 0..3 {
            builder = builder.affine(2048).batch_norm().relu();
        }
        Ok((
            builder.affine(10).build(1)?,
            Box::new(SoftmaxWithLoss::new()),
        ))
    }

    /// The target of an image: a class, of which a discriminator has two.
    pub(crate) fn label(&self, image: usize) -> usize {
        image % if self.is_discriminator { 2 } else { 10 }
    }
}
