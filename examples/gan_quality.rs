//! Rates the digits of a GAN with a classifier that took no part in its training.

use anyhow::{Context, Result, ensure};
use bn_examples::args::{CommonArgs, Defaults};
use bn_examples::cnn::{self, Predictions};
use bn_examples::picture::Area;
use bn_examples::style::{font, heading, percent};
use bn_examples::{dcgan, images, values};
use clap::Parser;
use ndarray::{Array1, Array2, Axis};
use ndarray_linalg::{Eigh, UPLO};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde_json::{Value, json};
use std::{io::Write, path::PathBuf, process::ExitCode, time::Instant};

const MORE: &str = "\
Three numbers, for the generated digits and for the same number of training images:
  - the share of images on which the classifier is at least 90 % confident;
  - the entropy of the predicted classes, log2 10 = 3.32 bits if all ten are equally frequent;
  - the Fréchet distance to the test images: |m - m'|² + tr(C + C' - 2 (C C')^½), with mean and
    covariance of the classifier's last hidden layer (Heusel et al., 2017, with this classifier
    instead of Inception).";

/// Rate the digits that a trained DCGAN generates
#[derive(Debug, Parser)]
#[command(after_long_help = MORE)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// The checkpoint that the example dcgan wrote
    #[arg(long, value_name = "FILE", default_value = "dcgan/dcgan.safetensors")]
    gan: PathBuf,
    /// The network that the example cnn_mnist wrote
    #[arg(long, value_name = "FILE", default_value = "mnist-cnn.safetensors")]
    classifier: PathBuf,
    /// Number of digits to generate
    #[arg(long, default_value_t = 10_000, value_parser = values::size(2, 60_000))]
    samples: usize,
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}

fn main() -> ExitCode {
    let defaults = Defaults {
        data: "mnist",
        picture: Some("bn-gan-quality.png"),
    };
    bn_examples::run(defaults, gan_quality)
}

fn gan_quality(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    ensure!(
        args.common.data.side() == dcgan::SIDE,
        "the GAN's images have 28×28 pixels: give any --data but digits"
    );
    let (recipe, gan, averaged) = dcgan::load(&args.gan).with_context(|| {
        let path = args.gan.display();
        format!("no GAN in {path} (train one with the example dcgan)")
    })?;
    let mut classifier = cnn::load(&args.classifier, dcgan::SIDE)?;
    let (train, test) = args.common.load()?;
    let n = args.samples.min(train.len());
    let test = test.images().split_at(Axis(0), n.min(test.len())).0;

    writeln!(out, "Generating {n} digits")?;
    let noise = gan.noise(args.common.seed, n)?;
    let mut digits = averaged.network.predict(noise.view())?;
    digits.mapv_inplace(|v| (v + 1.0) / 2.0);
    writeln!(out, "Classifying {} test images", test.nrows())?;
    let reference = Features::of(&Predictions::new(&mut classifier, test)?.features);
    writeln!(out, "Classifying {n} generated digits")?;
    let predictions = Predictions::new(&mut classifier, digits.view())?;
    let generated = Quality::of(&predictions, &reference)?;
    writeln!(out, "Classifying {n} training images\n")?;
    let training = train.images().split_at(Axis(0), n).0;
    let real = Quality::of(&Predictions::new(&mut classifier, training)?, &reference)?;

    writeln!(
        out,
        "{n} digits of the recipe {recipe} after {} steps, and the same number of training images:\n\n{:26}{:>12}{:>12}",
        gan.iteration(),
        "",
        "generated",
        "real"
    )?;
    let names = [
        "at least 90 % confident",
        "entropy of the classes",
        "Fréchet distance",
    ];
    for ((name, generated), real) in names.iter().zip(generated.texts()).zip(real.texts()) {
        writeln!(out, "{name:26}{generated:>12}{real:>12}")?;
    }
    let classes = 0..generated.classes.len();
    writeln!(out, "\nclass      {}", row(classes.map(|k| k.to_string())))?;
    let shares = generated.classes.iter().map(|&share| percent(share, 1));
    writeln!(out, "generated  {}\n", row(shares))?;

    let mut results = args.common.results(start);
    results["recipe"] = json!(recipe.to_string());
    results["steps"] = json!(gan.iteration());
    results["samples"] = json!(n);
    results["generated"] = generated.json();
    results["real"] = real.json();
    let size = picture_size(generated.classes.len());
    args.common.write(&results, size, |area| {
        draw(area, &digits, &predictions, &generated)
    })
}

fn row(cells: impl Iterator<Item = String>) -> String {
    cells.map(|cell| format!("{cell:>8}")).collect()
}

struct Quality {
    confident: f64, // the share of images
    entropy: f64,
    frechet: f64,
    classes: Vec<f64>, // the share of each class
}

impl Quality {
    fn of(predictions: &Predictions, reference: &Features) -> Result<Self> {
        let best = predictions.best();
        let share = |count: usize| count as f64 / best.len() as f64;
        let mut counts = vec![0; predictions.probabilities.ncols()];
        best.iter().for_each(|&(class, _)| counts[class] += 1);
        let classes: Vec<f64> = counts.into_iter().map(share).collect();
        Ok(Self {
            confident: share(best.iter().filter(|&&(_, p)| p >= 0.9).count()),
            entropy: classes
                .iter()
                .filter(|&&p| p > 0.0)
                .map(|p| -p * p.log2())
                .sum(),
            frechet: reference.frechet_distance(&Features::of(&predictions.features))?,
            classes,
        })
    }

    fn texts(&self) -> [String; 3] {
        [
            percent(self.confident, 1),
            format!("{:.3} bits", self.entropy),
            format!("{:.3}", self.frechet),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "confident_share": self.confident,
            "class_entropy_bits": self.entropy,
            "frechet_distance": self.frechet,
            "class_shares": self.classes,
        })
    }
}

/// Mean `(D)` and covariance `(D, D)` of features.
struct Features {
    mean: Array1<f64>,
    covariance: Array2<f64>,
}

impl Features {
    /// The mean and covariance of features `(n, D)`, n ≥ 2.
    fn of(features: &Array2<f64>) -> Self {
        let n = features.nrows() as f64;
        let mean = features.sum_axis(Axis(0)) / n;
        let centered = features - &mean;
        Self {
            covariance: centered.t().dot(&centered) / (n - 1.0),
            mean,
        }
    }

    /// `|m − m'|² + tr(C + C' − 2 (C C')^½)`, where `tr (C C')^½ = tr (C^½ C' C^½)^½`.
    fn frechet_distance(&self, other: &Self) -> Result<f64> {
        let distance = (&self.mean - &other.mean).mapv(|d| d * d).sum();
        let root = square_root(&self.covariance)?;
        let both = square_root(&root.dot(&other.covariance).dot(&root))?;
        let trace = |matrix: &Array2<f64>| matrix.diag().sum();
        Ok(distance + trace(&self.covariance) + trace(&other.covariance) - 2.0 * trace(&both))
    }
}

/// The square root of a symmetric matrix. Its eigenvalues are at least 0, except for rounding.
fn square_root(matrix: &Array2<f64>) -> Result<Array2<f64>> {
    let (values, vectors) = matrix.eigh(UPLO::Lower)?;
    let roots = values.mapv(|v| v.max(0.0).sqrt());
    Ok((&vectors * &roots).dot(&vectors.t()))
}

const SCALE: usize = 3;
/// Digits in a row of the picture.
const COLUMNS: usize = 16;
/// The space for the labels.
const LEFT: i32 = 200;

/// The height of a row of the picture.
fn row_height() -> i32 {
    images::extent(2, dcgan::SIDE, SCALE) - images::extent(1, dcgan::SIDE, SCALE)
}

fn picture_size(classes: usize) -> (u32, u32) {
    let width = LEFT + images::extent(COLUMNS, dcgan::SIDE, SCALE) + 40;
    let height = 150 + row_height() * classes as i32 + 30;
    (width as u32, height as u32)
}

/// A row for each class: the first digits that the classifier assigns to it.
fn draw(
    area: &Area<'_>,
    digits: &Array2<f32>,
    predictions: &Predictions,
    quality: &Quality,
) -> Result<()> {
    let best = predictions.best();
    let subtitle = format!(
        "at least 90 % confident on {} of the digits; class entropy {:.2} of {:.2} bits; Fréchet distance {:.2}",
        percent(quality.confident, 1),
        quality.entropy,
        (quality.classes.len() as f64).log2(),
        quality.frechet
    );
    let body = heading(area, "Generated digits by predicted class", &subtitle)?;
    let style = font(26).pos(Pos::new(HPos::Right, VPos::Center));
    for (class, share) in quality.classes.iter().enumerate() {
        let top = 20 + class as i32 * row_height();
        let middle = top + row_height() / 2 - SCALE as i32;
        let label = format!("{class}, {}", percent(*share, 1));
        body.draw_text(&label, &style, (LEFT - 24, middle))?;
        let of_class: Vec<usize> = (0..best.len())
            .filter(|&i| best[i].0 == class)
            .take(COLUMNS)
            .collect();
        let row = digits
            .select(Axis(0), &of_class)
            .mapv_into(|v| 2.0 * v - 1.0);
        images::draw(&body, (LEFT, top), row.view(), COLUMNS, SCALE)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_frechet_distance_of_normal_distributions() {
        // With diagonal covariances: Σ (m − m')² + (σ − σ')².
        let a = Features {
            mean: array![1.0, 2.0],
            covariance: array![[4.0, 0.0], [0.0, 9.0]],
        };
        let b = Features {
            mean: array![1.0, 5.0],
            covariance: array![[16.0, 0.0], [0.0, 1.0]],
        };
        assert!((a.frechet_distance(&b).unwrap() - (9.0 + 4.0 + 4.0)).abs() < 1e-12);
        assert!(a.frechet_distance(&a).unwrap().abs() < 1e-12);
        // The distance does not depend on the axes.
        let turn = array![[0.6, -0.8], [0.8, 0.6]];
        let turned = |f: &Features| Features {
            mean: turn.dot(&f.mean),
            covariance: turn.dot(&f.covariance).dot(&turn.t()),
        };
        assert!((turned(&a).frechet_distance(&turned(&b)).unwrap() - 17.0).abs() < 1e-12);
    }

    #[test]
    fn mean_and_covariance() {
        let f = Features::of(&array![[1.0, 0.0], [3.0, 4.0]]);
        assert_eq!(f.mean, array![2.0, 2.0]);
        assert_eq!(f.covariance, array![[2.0, 4.0], [4.0, 8.0]]);
    }
}
