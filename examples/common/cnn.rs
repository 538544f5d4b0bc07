//! The convolutional networks that `cnn_mnist` and `resnet` train, and their file.

use crate::interrupt;
use anyhow::{Context, Result, bail};
use batchnorm::{BatchNormConvNet, Mode, Network, ResNet};
use clap::ValueEnum;
use ndarray::{Array2, ArrayView2, Axis};
use std::path::Path;

/// The number of images that pass through the network together.
const CHUNK: usize = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Model {
    /// Four convolutions and a hidden layer
    Conv,
    /// A residual network of nine convolutions, whose shortcuts have two more
    Resnet,
}

impl Model {
    /// A network for images of `side·side` pixels. Only `Conv` has Dropout.
    pub fn network(self, side: usize, classes: usize, dropout: f64, seed: u64) -> Result<Network> {
        let builder = match self {
            Self::Conv => conv_net(side, classes, dropout).builder(),
            Self::Resnet => res_net(side, classes).builder(),
        };
        Ok(builder.build(seed)?)
    }

    /// The name in texts and pictures.
    pub fn title(self) -> &'static str {
        match self {
            Self::Conv => "four convolutions with Batch Normalization",
            Self::Resnet => "a residual network with Batch Normalization",
        }
    }

    /// The layers, in two lines.
    pub fn describe(self, dropout: f64) -> String {
        match self {
            Self::Conv => format!(
                "Four 3×3 convolutions (32, 32 with stride 2, 64, 64 with stride 2) and a hidden layer of 128,\n\
                 each with BatchNormalization and ReLU; Dropout ({dropout}) before the last layer"
            ),
            Self::Resnet => "A 3×3 convolution and four residual blocks of two 3×3 convolutions (16, 32 with stride 2, 64 with\n\
                 stride 2, 64), each with BatchNormalization and ReLU; the mean over all pixels; an affine layer"
                .to_owned(),
        }
    }
}

/// Four convolutions with Batch Normalization, two of which halve the image, and a hidden layer.
fn conv_net(side: usize, classes: usize, dropout: f64) -> BatchNormConvNet {
    let blocks = [(32, 1), (32, 2), (64, 1), (64, 2)];
    BatchNormConvNet {
        hidden: Some(128),
        dropout,
        ..BatchNormConvNet::new((side, side, 1), &blocks, classes)
    }
}

/// A small residual network whose blocks start as the identity.
fn res_net(side: usize, classes: usize) -> ResNet {
    let stages = [(16, 1), (32, 1), (64, 2)];
    ResNet {
        zero_init: true,
        ..ResNet::new((side, side, 1), &stages, classes)
    }
}

/// Writes a trained network, which an interruption does not prevent.
pub fn save(path: &Path, network: &Network) -> Result<()> {
    let held = interrupt::hold();
    let saved = network.save(path);
    held.release();
    Ok(saved?)
}

/// Loads a classifier of images with `side·side` pixels.
pub fn load(path: &Path, side: usize) -> Result<Network> {
    let network = Network::load(path).with_context(|| {
        format!(
            "no classifier in {} (train one with the example cnn_mnist)",
            path.display()
        )
    })?;
    let pixels = network.input().size();
    if pixels != side * side {
        let (path, of_file) = (path.display(), pixels.isqrt());
        bail!("the classifier in {path} is for images of {of_file}×{of_file}, not {side}×{side}");
    }
    Ok(network)
}

/// A classifier's results for n images: the probabilities of the classes `(n, classes)` and the
/// values of the last hidden layer `(n, features)`.
pub struct Predictions {
    pub probabilities: Array2<f64>,
    pub features: Array2<f64>,
}

impl Predictions {
    /// Classifies images `(n, pixels)` with values from 0 to 1.
    pub fn new(classifier: &mut Network, images: ArrayView2<'_, f32>) -> Result<Self> {
        let classes = classifier.output().size();
        let mut probabilities = Array2::zeros((0, classes));
        let mut features: Option<Array2<f64>> = None;
        let last = classifier.layer_names().len() - 1;
        for images in images.axis_chunks_iter(Axis(0), CHUNK) {
            let mut logits = classifier.forward(images, Mode::Eval)?.mapv(f64::from);
            for mut row in logits.rows_mut() {
                let highest = row.fold(f64::NEG_INFINITY, |highest, &v| highest.max(v));
                row.mapv_inplace(|v| (v - highest).exp());
                let sum = row.sum();
                row /= sum;
            }
            probabilities.append(Axis(0), logits.view())?;
            let hidden = classifier
                .activation(last - 1)
                .context("the classifier has no hidden layer")?
                .mapv(f64::from);
            match &mut features {
                Some(features) => features.append(Axis(0), hidden.view())?,
                None => features = Some(hidden),
            }
        }
        Ok(Self {
            probabilities,
            features: features.context("there are no images")?,
        })
    }

    /// The most probable class of each image, and its probability.
    pub fn best(&self) -> Vec<(usize, f64)> {
        let best = |row: ndarray::ArrayView1<'_, f64>| {
            let pairs = row.iter().copied().enumerate();
            pairs.fold(
                (0, 0.0),
                |best, next| if next.1 > best.1 { next } else { best },
            )
        };
        self.probabilities.outer_iter().map(best).collect()
    }
}
