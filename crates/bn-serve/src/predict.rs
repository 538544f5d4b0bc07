//! The request and the answer of `POST /v1/predict`.

use crate::{error::Error, nested::Nested};
use bn_layers::Shape;
use ndarray::{Array2, ArrayView1};
use serde::{Deserialize, Serialize};

/// The checked body of `POST /v1/predict`.
///
/// It is one of `{"image": …}`, `{"images": […]}` and `{"rows": [[…], …]}`. An image has its pixels as nested arrays
/// `(H, W)` or `(H, W, C)` or as one array in the same order; a row has its values in one array. The values are those of
/// the data's files, such as pixels from 0 to 255, which the model's preprocessing prepares. With `"prepared": true` they
/// are what the network takes.
///
/// ```
/// use bn_serve::PredictRequest;
/// let body = br#"{"images": [[[0, 255], [0, 0]], [[255, 0], [0, 0]]]}"#;
/// let request = PredictRequest::parse(body, (2, 2, 1).into(), 256)?;
/// assert_eq!(request.x, ndarray::array![[0.0, 255.0, 0.0, 0.0], [255.0, 0.0, 0.0, 0.0]]);
/// assert!(!request.is_prepared);
/// assert!(PredictRequest::parse(br#"{"image": [1, 2, 3]}"#, (2, 2, 1).into(), 256).is_err());
/// # Ok::<(), bn_serve::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PredictRequest {
    /// The rows, `(N, D)` with N at least 1.
    pub x: Array2<f32>,
    /// Whether they are what the network takes, rather than values that the model's preprocessing still has to prepare.
    pub is_prepared: bool,
}

/// Characters of a message about a value.
const MAX_MESSAGE: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    image: Option<Nested>,
    images: Option<Nested>,
    rows: Option<Nested>,
    #[serde(default)]
    prepared: bool,
}

impl PredictRequest {
    /// Reads a body for a network whose input rows have the shape `input`. The memory it takes is at most 25
    /// times that of the body: 6 times for numbers, and more only for the message about a string in their place.
    ///
    /// # Errors
    /// [`Error::Json`]; [`Error::Input`] for other fields or another shape; [`Error::TooMany`] for more than
    /// `max_rows` rows.
    pub fn parse(body: &[u8], input: Shape, max_rows: usize) -> Result<Self, Error> {
        let body: Body = from_json(body)?;
        let (nested, many) = match (body.image, body.images, body.rows) {
            (Some(image), None, None) => (image, None),
            (None, Some(images), None) => (images, Some("images")),
            (None, None, Some(rows)) => (rows, Some("rows")),
            _ => {
                let message = "the body must have exactly one of image, images and rows";
                return Err(Error::Input(message.to_owned()));
            }
        };
        let is_row = many == Some("rows");
        let (count, shape) = match many {
            None => (1, &nested.dims[..]),
            Some(name) => match &nested.dims[..] {
                [] | [0, ..] => return Err(Error::Input(format!("{name} is empty"))),
                [count, shape @ ..] => (*count, shape),
            },
        };
        if !fits(shape, input, is_row) {
            return Err(misfit(shape, input, is_row));
        }
        if count > max_rows {
            let (got, max) = (count, max_rows);
            return Err(Error::TooMany { got, max });
        }
        let x = Array2::from_shape_vec((count, input.size()), nested.values);
        let x = x.map_err(|_| misfit(shape, input, is_row))?;
        let is_prepared = body.prepared;
        Ok(Self { x, is_prepared })
    }
}

/// Reads a value, and tells what is not JSON from what does not fit.
pub(crate) fn from_json<'a, V: Deserialize<'a>>(body: &'a [u8]) -> Result<V, Error> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        // A value that is quoted may be as long as the body.
        serde_json::error::Category::Data => {
            Error::Input(error.to_string().chars().take(MAX_MESSAGE).collect())
        }
        _ => Error::Json(error),
    })
}

/// Whether nested arrays of this shape are a row of the input.
fn fits(shape: &[usize], input: Shape, is_row: bool) -> bool {
    if shape == [input.size()] {
        return true;
    }
    match input {
        _ if is_row => false,
        Shape::Flat(size) => {
            let product = shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
            shape.len() > 1 && product == Some(size)
        }
        Shape::Image {
            height,
            width,
            channels,
        } => shape == [height, width, channels] || (channels == 1 && shape == [height, width]),
    }
}

fn misfit(shape: &[usize], input: Shape, is_row: bool) -> Error {
    let got: Vec<String> = shape.iter().map(usize::to_string).collect();
    let (what, size) = (if is_row { "a row" } else { "an image" }, input.size());
    let expected = match (input, is_row) {
        (Shape::Image { .. }, false) => format!("{input} or {size}"),
        _ => size.to_string(),
    };
    Error::Input(format!(
        "{what} of this model has {expected} values, got {}",
        if got.is_empty() {
            "none".to_owned()
        } else {
            got.join("×")
        }
    ))
}

/// The answer of `POST /v1/predict`.
#[derive(Debug, Serialize)]
pub(crate) struct Predictions<'a> {
    predictions: Vec<Prediction<'a>>,
}

#[derive(Debug, Serialize)]
struct Prediction<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'a str>,
    label: usize,
    probabilities: &'a [f32],
}

impl<'a> Predictions<'a> {
    /// From probabilities `(N, E)`, in row-major order, and the names of the classes, which may be none.
    pub(crate) fn new(probabilities: &'a Array2<f32>, classes: &'a [String]) -> Self {
        let rows = probabilities.rows().into_iter().map(|row| {
            let label = label_of(row);
            Prediction {
                class: classes.get(label).map(String::as_str),
                label,
                probabilities: row.to_slice().unwrap_or(&[]),
            }
        });
        Self {
            predictions: rows.collect(),
        }
    }
}

/// The class of a row of probabilities: the first of the largest, or for one probability whether it is above one
/// half.
fn label_of(row: ArrayView1<'_, f32>) -> usize {
    if row.len() == 1 {
        return usize::from(row[0] > 0.5);
    }
    let mut label = 0;
    for (class, &p) in row.iter().enumerate() {
        if p > row[label] {
            label = class;
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_does_not_repeat_a_long_value() {
        let body = format!(r#"{{"rows": "{}"}}"#, "\u{7f}".repeat(1 << 16));
        let error = PredictRequest::parse(body.as_bytes(), 3.into(), 1).unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, Error::Input(_)), "{message}");
        assert!(message.starts_with("invalid type: string"), "{message}");
        assert_eq!(message.chars().count(), MAX_MESSAGE);
    }
}
