//! This library on the work of `work.py`, for `benches/peers/run`.
//! Usage: `peers_bn THREADS book|mid|big|bn|infer|gan|resnet`.

use batchnorm::layers::Layout;
use batchnorm::net::Workspace;
use batchnorm::{
    BatchNormConfig, BatchNormalization, Conv2dConfig, Gan, Init, Io, Layer, Mode, Network,
    Outcome, Pass, Pool, ResNet, Sgd, SoftmaxWithLoss, Wanted, tensor,
};
use ndarray::Array2;
use serde_json::json;
use std::{
    error::Error,
    hint::black_box,
    thread::sleep,
    time::{Duration, Instant},
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const USAGE: &str =
    "benches/peers/run runs this program, as: peers_bn THREADS book|mid|big|bn|infer|gan|resnet";

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let [threads, case] = &args[..] else {
        println!("{USAGE}");
        return Ok(());
    };
    let threads = threads.parse().map_err(|_| USAGE)?;
    // The whole run is inside the pool, so that no measurement includes entering it.
    Pool::new(threads)?.install(|| run(case))
}

fn run(case: &str) -> Result<()> {
    let engine = format!("bn {}", env!("CARGO_PKG_VERSION"));
    let threads = tensor::threads();
    let described = json!({"engine": engine, "blas": tensor::matmul_backend(), "threads": threads});
    println!("{described}");
    // OpenBLAS's own threads, which are not used, spin for a tenth of a second after it is loaded.
    sleep(Duration::from_millis(300));
    match case {
        "book" => step(case, &[100; 5], 100, 200, 10),
        "mid" => step(case, &[512; 3], 256, 40, 10),
        "big" => step(case, &[2048; 3], 1024, 3, 3),
        "bn" => batch_normalization(),
        "infer" => inference(),
        "gan" => gan(),
        "resnet" => resnet(),
        _ => Err(USAGE.into()),
    }
}

/// Prints the median of seven times, each the mean of `repetitions` calls.
fn report(
    case: &str,
    warm_up: usize,
    repetitions: usize,
    mut f: impl FnMut() -> Result<()>,
) -> Result<()> {
    for _ in 0..warm_up {
        f()?;
    }
    let mut times = Vec::new();
    for _ in 0..7 {
        let start = Instant::now();
        for _ in 0..repetitions {
            f()?;
        }
        times.push(start.elapsed().as_secs_f64() / repetitions as f64 * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!("{}", json!({"case": case, "ms": times[3]}));
    Ok(())
}

/// 784 to 10, with Batch Normalization and ReLU in each hidden layer.
fn network(hidden: &[usize]) -> Result<Network> {
    let mut builder = Network::builder(784);
    for &size in hidden {
        builder = builder.affine(size).batch_norm().relu();
    }
    Ok(builder.affine(10).build(1)?)
}

/// Values between -1 and 1.
fn values(rows: usize, columns: usize, rate: f32) -> Array2<f32> {
    let value = |(i, j)| ((i * columns + j) as f32 * rate).sin();
    Array2::from_shape_fn((rows, columns), value)
}

fn images(batch: usize) -> Array2<f32> {
    values(batch, 784, 0.37).mapv_into(f32::abs)
}

fn step(
    case: &str,
    hidden: &[usize],
    batch: usize,
    repetitions: usize,
    warm_up: usize,
) -> Result<()> {
    train(case, network(hidden)?, batch, repetitions, warm_up)
}

/// A training step on images of 784 pixels.
fn train(
    case: &str,
    mut network: Network,
    batch: usize,
    repetitions: usize,
    warm_up: usize,
) -> Result<()> {
    let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.01)?);
    let x = images(batch);
    let labels: Vec<usize> = (0..batch).map(|i| i * 7 % 10).collect();
    report(case, warm_up, repetitions, || {
        network.train_step(x.view(), (&labels).into(), &mut loss, &mut sgd)?;
        Ok(())
    })
}

/// Forward and backward to x, gamma and beta.
fn batch_normalization() -> Result<()> {
    let last = Layout::ChannelsLast;
    layer("bn 100x100", last, 100, (100, 100), 500)?;
    layer("bn 1024x1024", last, 1024, (1024, 1024), 30)?;
    layer("bn 8192x4096", last, 4096, (8192, 4096), 1)?;
    let image = (64, 64 * 28 * 28); // a row is one image of 64 channels
    layer("bn 64x64x28x28", Layout::ChannelsFirst, 64, image, 10)?;
    layer("bn 64x28x28x64", last, 64, image, 10)
}

fn layer(
    case: &str,
    layout: Layout,
    channels: usize,
    shape: (usize, usize),
    repetitions: usize,
) -> Result<()> {
    let config = BatchNormConfig {
        eps: 1e-5,
        ..BatchNormConfig::book()
    };
    let mut bn = BatchNormalization::new(channels, config)?.with_layout(layout);
    let (x, dout) = (
        values(shape.0, shape.1, 0.37),
        values(shape.0, shape.1, 0.73),
    );
    let (mut y, mut dx) = (Array2::<f32>::zeros(shape), Array2::<f32>::zeros(shape));
    let pass = Pass::new(Mode::Train);
    report(case, 5, repetitions, || {
        bn.forward_into(x.view(), y.view_mut(), &pass)?;
        let io = Io {
            x: x.view(),
            y: y.view(),
            dout: dout.view(),
        };
        let wanted = Wanted {
            dx: Some(dx.view_mut()),
            params: true,
        };
        bn.backward_into(io, wanted, &pass)?;
        bn.settle(Outcome::Stands);
        Ok(())
    })
}

fn inference() -> Result<()> {
    let mut network = network(&[100; 5])?;
    for folded in ["", " folded"] {
        if !folded.is_empty() {
            network.fold(images(100).view())?;
        }
        for (batch, repetitions) in [(1, 2000), (100, 300), (10_000, 5)] {
            let (x, mut workspace) = (images(batch), Workspace::default());
            report(&format!("infer {batch}{folded}"), 10, repetitions, || {
                black_box(network.predict_with(x.view(), &mut workspace)?);
                Ok(())
            })?;
        }
    }
    Ok(())
}

/// An iteration of Keras' DCGAN: two updates of the discriminator, one of the generator.
fn gan() -> Result<()> {
    let conv = |filters| Conv2dConfig::new(filters, 3).same();
    let generator = Network::builder(100)
        .init(Init::XavierUniform)
        .affine(7 * 7 * 128)
        .leaky_relu(0.2)
        .reshape((7, 7, 128))
        .conv_transpose2d(conv(64).stride(2))
        .leaky_relu(0.2)
        .batch_norm_with(BatchNormConfig::keras())
        .conv_transpose2d(conv(1).stride(2))
        .tanh()
        .build(1)?;
    let discriminator = Network::builder((28, 28, 1))
        .init(Init::XavierUniform)
        .conv2d(conv(64))
        .leaky_relu(0.2)
        .dropout(0.25)
        .conv2d(conv(128).stride(2))
        .leaky_relu(0.2)
        .dropout(0.25)
        .flatten()
        .affine(1)
        .build(2)?;
    let (mut gan, x) = (
        Gan::new(generator, discriminator, 3)?,
        values(128, 784, 0.37),
    );
    report("gan", 3, 2, || {
        gan.discriminator_step(x.view())?;
        gan.generator_step(128)?;
        Ok(())
    })
}

fn resnet() -> Result<()> {
    let model = ResNet::new((28, 28, 1), &[(16, 2), (32, 2), (64, 2)], 10);
    train("resnet", model.builder().build(1)?, 128, 5, 5)
}
