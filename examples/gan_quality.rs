//! How good a GAN's digits are, by a classifier that it has never seen.

mod common;

use anyhow::{Context, Result};
use clap::Parser;
use common::args::{CommonArgs, Defaults};
use common::cnn::{self, Judged};
use common::style::{font, heading, percent};
use common::{dcgan, images};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use ndarray_linalg::{Eigh, UPLO};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde_json::{Value, json};
use std::{io::Write, path::PathBuf, process::ExitCode, time::Instant};

const MORE: &str = "\
Three figures, each beside that of real digits (of the training images, as many):
  - the share that the classifier is sure of, at a probability of 0.9 or more;
  - the entropy of the classes that it sees, log2 10 = 3.32 bits where all ten are as frequent;
  - the Fréchet distance between as many test images and the generated ones, of the values of the
    classifier's last hidden layer taken for normally distributed (Heusel et al., 2017, with this
    classifier in place of Inception): |m - m'|² + tr(C + C' - 2 (C C')^½).";

/// Judge the digits that a trained DCGAN draws
#[derive(Debug, Parser)]
#[command(after_long_help = MORE)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// The file that dcgan left
    #[arg(long, value_name = "FILE", default_value = "dcgan/dcgan.safetensors")]
    gan: PathBuf,
    /// The file that cnn_mnist left
    #[arg(long, value_name = "FILE", default_value = "mnist-cnn.safetensors")]
    classifier: PathBuf,
    /// Digits to draw
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(2..=60_000))]
    samples: u64,
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
    common::run(defaults, gan_quality)
}

fn gan_quality(args: &Args) -> Result<()> {
    let (start, mut out) = (Instant::now(), std::io::stdout());
    let (recipe, gan, artist) = dcgan::load(&args.gan)
        .with_context(|| format!("no GAN in {} (dcgan trains one)", args.gan.display()))?;
    let mut classifier = cnn::load(&args.classifier, dcgan::SIDE)?;
    let (train, test) = args.common.load()?;
    let n = (args.samples as usize).min(train.len());
    let test = test.images().split_at(Axis(0), n.min(test.len())).0;

    let noise = gan.noise(args.common.seed, n)?;
    let mut drawn = artist.network.predict(noise.view())?;
    drawn.mapv_inplace(|v| (v + 1.0) / 2.0);
    let reference = Features::of(&Judged::new(&mut classifier, test)?.features);
    let mut judge = |images: ArrayView2<'_, f32>| -> Result<(Judged, Quality)> {
        let judged = Judged::new(&mut classifier, images)?;
        let quality = Quality::of(&judged, &reference)?;
        Ok((judged, quality))
    };
    let (judged, generated) = judge(drawn.view())?;
    let (_, real) = judge(train.images().split_at(Axis(0), n).0)?;

    writeln!(
        out,
        "{n} digits of the recipe {recipe} after {} steps, beside as many training images:\n\n{:22}{:>12}{:>12}",
        gan.iteration(),
        "",
        "generated",
        "real"
    )?;
    let (of_generated, of_real) = (generated.told(), real.told());
    let names = [
        "sure (0.9 or more)",
        "entropy of classes",
        "Fréchet distance",
    ];
    for ((name, generated), real) in names.iter().zip(of_generated).zip(of_real) {
        writeln!(out, "{name:22}{generated:>12}{real:>12}")?;
    }
    writeln!(out, "\nclass      {}", row((0..10).map(|k| k.to_string())))?;
    let shares = generated.classes.iter().map(|&share| percent(share, 1));
    writeln!(out, "generated  {}\n", row(shares))?;

    if let Some(path) = &args.common.picture {
        draw(path, &drawn, &judged, &generated)?;
    }
    let mut figures = args.common.figures(start);
    figures["recipe"] = json!(recipe.to_string());
    figures["steps"] = json!(gan.iteration());
    figures["samples"] = json!(n);
    figures["generated"] = generated.json();
    figures["real"] = real.json();
    args.common.write_json(&figures)?;
    writeln!(
        out,
        "{} are told with a probability of 0.9 or more.{}",
        percent(generated.sure, 1),
        args.common.picture_note()
    )?;
    Ok(())
}

fn row(cells: impl Iterator<Item = String>) -> String {
    cells.map(|cell| format!("{cell:>8}")).collect()
}

struct Quality {
    sure: f64,
    entropy: f64,
    frechet: f64,
    classes: Vec<f64>, // the share of each
}

impl Quality {
    fn of(judged: &Judged, reference: &Features) -> Result<Self> {
        let best = judged.best();
        let share = |count: usize| count as f64 / best.len() as f64;
        let mut counts = vec![0; judged.probabilities.ncols()];
        best.iter().for_each(|&(class, _)| counts[class] += 1);
        let classes: Vec<f64> = counts.into_iter().map(share).collect();
        Ok(Self {
            sure: share(best.iter().filter(|&&(_, p)| p >= 0.9).count()),
            entropy: classes
                .iter()
                .filter(|&&p| p > 0.0)
                .map(|p| -p * p.log2())
                .sum(),
            frechet: reference.frechet_distance(&Features::of(&judged.features))?,
            classes,
        })
    }

    /// The share of the sure ones, the entropy and the distance, to be read.
    fn told(&self) -> [String; 3] {
        [
            percent(self.sure, 1),
            format!("{:.3} bits", self.entropy),
            format!("{:.3}", self.frechet),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "confident_share": self.sure,
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
    /// Of features `(n, D)` of at least two images.
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
        let apart = (&self.mean - &other.mean).mapv(|d| d * d).sum();
        let root = square_root(&self.covariance)?;
        let both = square_root(&root.dot(&other.covariance).dot(&root))?;
        let trace = |matrix: &Array2<f64>| matrix.diag().sum();
        Ok(apart + trace(&self.covariance) + trace(&other.covariance) - 2.0 * trace(&both))
    }
}

/// The square root of a symmetric matrix without negative eigenvalues, those of rounding aside.
fn square_root(matrix: &Array2<f64>) -> Result<Array2<f64>> {
    let (values, vectors) = matrix.eigh(UPLO::Lower)?;
    let roots = values.mapv(|v| v.max(0.0).sqrt());
    Ok((&vectors * &roots).dot(&vectors.t()))
}

/// A row for each class: the first digits that the classifier took for it.
fn draw(
    path: &std::path::Path,
    drawn: &Array2<f32>,
    judged: &Judged,
    quality: &Quality,
) -> Result<()> {
    const SCALE: usize = 3;
    const SHOWN: usize = 16;
    const LEFT: i32 = 200;
    let best = judged.best();
    let step = images::extent(2, dcgan::SIDE, SCALE) - images::extent(1, dcgan::SIDE, SCALE);
    let classes = quality.classes.len();
    let width = LEFT + images::extent(SHOWN, dcgan::SIDE, SCALE) + 40;
    let height = 150 + step * classes as i32 + 30;
    common::picture::save(path, (width as u32, height as u32), |area| {
        let subtitle = format!(
            "{} told with a probability of 0.9 or more; class entropy {:.2} of {:.2} bits; Fréchet distance {:.2}",
            percent(quality.sure, 1),
            quality.entropy,
            (classes as f64).log2(),
            quality.frechet
        );
        let body = heading(
            area,
            "Generated digits, by what a classifier takes them for",
            &subtitle,
        )?;
        let style = font(26).pos(Pos::new(HPos::Right, VPos::Center));
        for (class, share) in quality.classes.iter().enumerate() {
            let top = 20 + class as i32 * step;
            let label = format!("{class}, {}", percent(*share, 1));
            body.draw_text(&label, &style, (LEFT - 24, top + step / 2 - SCALE as i32))?;
            let of_class: Vec<usize> = (0..best.len())
                .filter(|&i| best[i].0 == class)
                .take(SHOWN)
                .collect();
            let shown = drawn
                .select(Axis(0), &of_class)
                .mapv_into(|v| 2.0 * v - 1.0);
            images::draw(&body, (LEFT, top), shown.view(), SHOWN, SCALE)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_frechet_distance_of_normal_distributions() {
        // Of diagonal covariances: Σ (m − m')² + (σ − σ')².
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
        // It does not depend on the axes.
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
