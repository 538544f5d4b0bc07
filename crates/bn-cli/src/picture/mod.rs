//! Pictures as inputs of a network.

mod file;

use crate::{error::Error, model::Loaded, model::describe_framing};
use bn_data::Framing;
use image::{Rgb32FImage, imageops, imageops::FilterType};
use ndarray::Array2;
use serde_json::{Value, json};
use std::path::Path;

/// A prepared picture.
pub(crate) struct Prepared {
    /// The row `(1, D)` of the network's input.
    pub(crate) row: Array2<f32>,
    /// What was done, in a line.
    pub(crate) note: String,
    /// The same for machines.
    pub(crate) json: Value,
}

/// Reads a picture and makes it an input of the model: framed as the images that it was trained on, unless `raw`.
pub(crate) fn prepare(path: &Path, loaded: &Loaded, raw: bool) -> Result<Prepared, Error> {
    let (height, width, channels) = loaded.image_shape().ok_or_else(|| {
        Error::usage(
            format!(
                "the model takes {} values, not images",
                loaded.model.network.input()
            ),
            "give a model that was trained on images",
        )
    })?;
    let picture = file::read(path)?;
    let framing = loaded.framing().filter(|_| !raw && channels == 1);
    let (values, note, json) = match framing {
        Some(framing) => framed(path, framing, &picture, (height, width))?,
        None => resized(&picture, (height, width, channels))?,
    };
    let mut row = Array2::from_shape_vec((1, values.len()), values)
        .map_err(|error| Error::input(error.to_string(), ""))?;
    loaded.of_fractions()?.apply(row.view_mut())?;
    Ok(Prepared { row, note, json })
}

/// The values, what was done, and the same for machines.
type Values = (Vec<f32>, String, Value);

fn framed(
    path: &Path,
    framing: Framing,
    picture: &Rgb32FImage,
    size: (usize, usize),
) -> Result<Values, Error> {
    let (width, height) = picture.dimensions();
    let grey = grey(picture).collect();
    let grey = Array2::from_shape_vec((height as usize, width as usize), grey)
        .map_err(|error| Error::input(error.to_string(), ""))?;
    let framed = framing.apply(grey.view(), size).map_err(|error| {
        let message = format!("{}: {error}", path.display());
        Error::input(
            message,
            "give a picture with something drawn on it, or use --raw",
        )
    })?;
    let (rows, columns) = &framed.ink;
    let json = json!({
        "inverted": framed.is_inverted,
        "ink": {
            "row": rows.start, "column": columns.start, "height": rows.len(), "width": columns.len(),
        },
    });
    let note = describe_framing(&framed, size);
    Ok((framed.image.into_iter().collect(), note, json))
}

fn resized(
    picture: &Rgb32FImage,
    (height, width, channels): (usize, usize, usize),
) -> Result<Values, Error> {
    let fits = |n: usize| u32::try_from(n).ok().filter(|&n| n <= file::MOST_SIDE);
    let (Some(to_width), Some(to_height)) = (fits(width), fits(height)) else {
        return Err(Error::usage(
            format!("the model takes images of {height}×{width}, which are too large"),
            "give another model",
        ));
    };
    // A triangle of the width of what becomes a pixel: antialiasing.
    let small = imageops::resize(picture, to_width, to_height, FilterType::Triangle);
    let values: Vec<f32> = match channels {
        1 => grey(&small).collect(),
        3 => small.into_raw(),
        _ => {
            return Err(Error::usage(
                format!("the model takes images with {channels} channels"),
                "give a model of grey or RGB images",
            ));
        }
    };
    let note = format!("resized to {height}×{width}");
    Ok((values, note, json!({ "resized": true })))
}

/// The luminance of each pixel (Rec. 709).
fn grey(picture: &Rgb32FImage) -> impl Iterator<Item = f32> {
    picture
        .pixels()
        .map(|p| 0.2126 * p.0[0] + 0.7152 * p.0[1] + 0.0722 * p.0[2])
}
