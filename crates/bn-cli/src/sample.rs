//! `bn sample`.

use crate::{
    error::Error,
    model,
    output::{Output, check_writable, write},
    values,
};
use bn_net::{Checkpoint, Network};
use bn_tensor::try_zeros;
use clap::Args;
use image::{ImageFormat, RgbImage};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::json;
use std::{io::Cursor, path::PathBuf};

/// The networks of a checkpoint that are generators, the best first.
const GENERATORS: [&str; 3] = ["averaged_generator", "generator", "network"];

/// Pixels between two images.
const GAP: usize = 2;

/// The most images.
const MOST: u64 = 10_000;

/// The most pixels of the picture.
const MOST_PIXELS: usize = 64 << 20;

#[derive(Debug, Args)]
pub(crate) struct SampleArgs {
    /// A generator: a checkpoint of a GAN, a model, or an ONNX file
    #[arg(default_value = model::DEFAULT)]
    model: PathBuf,
    /// The network of the file [default: averaged_generator, generator or network]
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// Number of images
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = values::positive)]
    count: u64,
    /// Seed of the noise; the same seed gives the same images
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Write the images, in a grid, to this PNG file
    #[arg(long, short, value_name = "FILE", default_value = "grid.png")]
    output: PathBuf,
}

pub(crate) fn report(args: &SampleArgs, output: Output) -> Result<(), Error> {
    check_writable(&args.output)?;
    let count = match args.count {
        count if count <= MOST => count as usize,
        count => {
            return Err(Error::usage(
                format!("{count} images are too many"),
                format!("give a --count of at most {MOST}"),
            ));
        }
    };
    let (name, generator) = generator(args)?;
    let (height, width, channels) = match model::image_shape(generator.output()) {
        Some((height, width, channels @ (1 | 3))) => (height, width, channels),
        _ => {
            return Err(Error::input(
                format!(
                    "the output of {name} is {}, not an image",
                    generator.output()
                ),
                "give the generator of a GAN, or choose a network with --network",
            ));
        }
    };
    let images = generator.predict(noise(args.seed, count, generator.input().size())?.view())?;
    let (low, high) = range(&generator, &images);
    let columns = (count as f64).sqrt().ceil() as usize;
    let rows = count.div_ceil(columns);
    let side = |n: usize, pixels: usize| {
        n.saturating_mul(pixels.saturating_add(GAP))
            .saturating_sub(GAP)
    };
    let (grid_height, grid_width) = (side(rows, height), side(columns, width));
    if grid_height.saturating_mul(grid_width) > MOST_PIXELS {
        return Err(Error::usage(
            format!("a picture of {grid_height}×{grid_width} pixels is too large"),
            "give a smaller --count",
        ));
    }
    let mut grid = RgbImage::new(grid_width as u32, grid_height as u32);
    for (i, values) in images.rows().into_iter().enumerate() {
        let (top, left) = (i / columns * (height + GAP), i % columns * (width + GAP));
        for y in 0..height {
            for x in 0..width {
                // A grey pixel has one value for all three colours.
                let value =
                    |color: usize| values[(y * width + x) * channels + color.min(channels - 1)];
                let byte = |color| (255.0 * (value(color) - low) / (high - low)).round() as u8;
                let pixel = image::Rgb([byte(0), byte(1), byte(2)]);
                grid.put_pixel((left + x) as u32, (top + y) as u32, pixel);
            }
        }
    }
    let mut png = Cursor::new(Vec::new());
    grid.write_to(&mut png, ImageFormat::Png).map_err(|error| {
        Error::input(format!("the images cannot be written as PNG: {error}"), "")
    })?;
    write(&args.output, png.get_ref())?;
    let json = json!({
        "network": name, "count": count, "seed": args.seed, "output": args.output,
        "height": height, "width": width, "channels": channels,
    });
    output.report(&json, || {
        format!(
            "{count} images of {height}×{width} from {name}: {}",
            args.output.display()
        )
    })
}

/// The network and its name.
fn generator(args: &SampleArgs) -> Result<(String, Network), Error> {
    if model::is_onnx(&args.model) {
        return Ok(("network".to_owned(), bn_onnx::load(&args.model)?));
    }
    let checkpoint: Checkpoint = model::open(&args.model)?;
    let names = checkpoint.network_names();
    let is_there = |name: &&str| names.iter().any(|known| known == name);
    let name = match &args.network {
        Some(name) if is_there(&name.as_str()) => name,
        None if names.len() == 1 => &names[0],
        None => match GENERATORS.iter().find(|name| is_there(name)) {
            Some(&name) => return Ok((name.to_owned(), model::network(&checkpoint, name)?)),
            None => return Err(unknown(args, &names)),
        },
        Some(_) => return Err(unknown(args, &names)),
    };
    Ok((name.clone(), model::network(&checkpoint, name)?))
}

fn unknown(args: &SampleArgs, names: &[String]) -> Error {
    Error::usage(
        format!("{} has no such network", args.model.display()),
        format!("choose one with --network: {}", names.join(", ")),
    )
}

/// Normal noise `(N, D)`, as a [`Gan`](bn_net::Gan) draws it.
fn noise(seed: u64, rows: usize, columns: usize) -> Result<Array2<f32>, Error> {
    let mut noise = try_zeros("the noise", (rows, columns))?;
    let normal = Xoshiro256PlusPlus::seed_from_u64(seed).sample_iter::<f64, _>(StandardNormal);
    for (value, normal) in noise.iter_mut().zip(normal) {
        *value = normal as f32;
    }
    Ok(noise)
}

/// The values that are black and white: those that the last layer can have, or that occur.
fn range(generator: &Network, images: &Array2<f32>) -> (f32, f32) {
    match generator.layer_names().last() {
        Some("tanh") => (-1.0, 1.0),
        Some("sigmoid") => (0.0, 1.0),
        _ => {
            let low = images.fold(f32::INFINITY, |low, &x| low.min(x));
            let high = images.fold(f32::NEG_INFINITY, |high, &x| high.max(x));
            (low, high.max(low + f32::EPSILON))
        }
    }
}
