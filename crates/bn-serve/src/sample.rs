//! The request and the answer of `POST /v1/sample`.

use crate::{engine::finite, error::Error, nested::Nested, predict::from_json};
use bn_data::Preprocessing;
use bn_layers::Shape;
use bn_net::{Model, Network};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

/// `{"noise": [[…], …]}` or `{"count": 16, "seed": 7}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    noise: Option<Nested>,
    count: Option<usize>,
    seed: Option<u64>,
}

/// The checked body of `POST /v1/sample`: `{"noise": [[…], …]}`, or `{"count": 16, "seed": 7}` for noise that is drawn.
/// One image and the seed 0 are the defaults.
///
/// ```
/// use bn_serve::SampleRequest;
/// let request = SampleRequest::parse(br#"{"noise": [[0.5, -1.0]]}"#, 2, 256)?;
/// assert_eq!(request.noise, ndarray::array![[0.5, -1.0]]);
/// let request = SampleRequest::parse(br#"{"count": 16, "seed": 7}"#, 2, 256)?;
/// assert_eq!(request.noise.dim(), (16, 2));
/// assert!(SampleRequest::parse(br#"{"count": 257}"#, 2, 256).is_err());
/// # Ok::<(), bn_serve::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SampleRequest {
    /// The input of the generator, `(N, D)` with N at least 1.
    pub noise: Array2<f32>,
}

impl SampleRequest {
    /// Reads a body for a generator of images from `width` numbers each. The memory it takes is at most 25 times that of
    /// the body, and the noise that it draws.
    ///
    /// # Errors
    /// [`Error::Json`]; [`Error::Input`] for other fields or another shape; [`Error::TooMany`] for more than
    /// `max_rows` images.
    pub fn parse(body: &[u8], width: usize, max_rows: usize) -> Result<Self, Error> {
        let Body { noise, count, seed } = from_json(body)?;
        let got = match (&noise, count) {
            (Some(noise), None) if seed.is_none() => noise.dims[0],
            (None, count) => count.unwrap_or(1),
            _ => {
                let message = "give either noise, or count and seed";
                return Err(Error::Input(message.to_owned()));
            }
        };
        if got == 0 {
            return Err(Error::Input("no images are asked for".to_owned()));
        }
        if got > max_rows {
            return Err(Error::TooMany { got, max: max_rows });
        }
        let Some(noise) = noise else {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed.unwrap_or(0));
            let noise = Array2::from_shape_simple_fn((got, width), || rng.sample(StandardNormal));
            return Ok(Self { noise });
        };
        if noise.dims != [got, width] {
            let message = format!(
                "noise must be rows of {width} numbers, got {:?}",
                noise.dims
            );
            return Err(Error::Input(message));
        }
        let noise = Array2::from_shape_vec((got, width), noise.values);
        let noise = noise.map_err(|_| Error::Input("the noise does not fit".to_owned()))?;
        Ok(Self { noise })
    }
}

/// The answer of `POST /v1/sample`.
#[derive(Debug, Serialize)]
pub(crate) struct Samples {
    height: usize,
    width: usize,
    channels: usize,
    images: Vec<Vec<u8>>, // pixels (height, width, channels) in row-major order
    noise: Vec<Vec<f32>>,
}

/// The images that the generator makes of noise `(N, D)`.
pub(crate) fn sample(model: &Model, noise: &Array2<f32>) -> Result<Samples, Error> {
    let Shape::Image {
        height,
        width,
        channels,
    } = model.network.output()
    else {
        return Err(Error::Internal);
    };
    let y = finite(model.network.predict(noise.view())?)?;
    let to_pixel = pixels(model);
    let row = |row: ndarray::ArrayView1<'_, f32>| {
        let values = row.iter().enumerate();
        values
            .map(|(i, &v)| to_pixel(i, f64::from(v)).round().clamp(0.0, 255.0) as u8)
            .collect()
    };
    Ok(Samples {
        height,
        width,
        channels,
        images: y.rows().into_iter().map(row).collect(),
        noise: noise.rows().into_iter().map(|row| row.to_vec()).collect(),
    })
}

/// From value `i` of an output to a pixel from 0 to 255: the reverse of the preprocessing, or without one the range of the
/// last layer.
fn pixels(model: &Model) -> Box<dyn Fn(usize, f64) -> f64> {
    let p = model.preprocessing.clone();
    if p != Preprocessing::default() {
        return Box::new(move |i, v| {
            let i = i % p.mean().len();
            (v * p.std()[i] + p.mean()[i]) / p.scale()
        });
    }
    match last_layer(&model.network) {
        "tanh" => Box::new(|_, v| (v + 1.0) / 2.0 * 255.0),
        "sigmoid" => Box::new(|_, v| v * 255.0),
        _ => Box::new(|_, v| v),
    }
}

/// The name of the last layer that computes something.
fn last_layer(network: &Network) -> &str {
    let computes = |name: &&str| *name != "reshape";
    network.layer_names().filter(computes).last().unwrap_or("")
}
