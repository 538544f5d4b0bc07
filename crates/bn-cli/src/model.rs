//! Models in files, with where they come from.

use crate::{data::DataArgs, error::Error};
use bn_data::{Framed, Framing, Preprocessing};
use bn_layers::Shape;
use bn_net::{Checkpoint, Model, Network};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file that `bn train` writes and the others read, unless another is named.
pub(crate) const DEFAULT: &str = "model.safetensors";

/// The name of the origin among the values of the file.
const ORIGIN: &str = "origin";

/// What a model was trained on; a value of the file, beside the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Where the data came from.
    pub data: DataArgs,
    /// The seed that chose the rows that were held out.
    pub seed: u64,
    /// How the images of the data lie in their frames, if they are drawings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub framing: Option<Framing>,
}

/// A model that was read from a file.
pub(crate) struct Loaded {
    pub(crate) model: Model,
    pub(crate) origin: Option<Origin>,
}

impl Loaded {
    /// The data that the model was trained on, and the seed; those of `bn train` if the file does not say it.
    pub(crate) fn origin(&self) -> (DataArgs, u64) {
        match &self.origin {
            Some(origin) => (origin.data.clone(), origin.seed),
            None => (DataArgs::default(), 0),
        }
    }

    /// The name of a class.
    pub(crate) fn class(&self, label: usize) -> String {
        let name = self.model.classes.get(label);
        name.cloned().unwrap_or_else(|| label.to_string())
    }

    /// How pictures are prepared; as MNIST's if the file does not say it. `None`: they are only resized.
    pub(crate) fn framing(&self) -> Option<Framing> {
        match &self.origin {
            Some(origin) => origin.framing,
            None => Some(Framing::mnist()),
        }
    }

    /// The preparation of values that are fractions, as those of pictures.
    pub(crate) fn of_fractions(&self) -> Result<Preprocessing, Error> {
        let given = &self.model.preprocessing;
        Ok(Preprocessing::new(1.0, given.mean(), given.std())?)
    }

    /// Height, width and channels of the images that the network takes; a vector of `side²` values is taken as a grey
    /// image.
    pub(crate) fn image_shape(&self) -> Option<(usize, usize, usize)> {
        image_shape(self.model.network.input())
    }
}

/// Height, width and channels, if these are rows of images.
pub(crate) fn image_shape(shape: Shape) -> Option<(usize, usize, usize)> {
    match shape {
        Shape::Image {
            height,
            width,
            channels,
        } => Some((height, width, channels)),
        Shape::Flat(values) => {
            let side = values.isqrt();
            (side >= 4 && side * side == values).then_some((side, side, 1))
        }
    }
}

/// Reads a model from a file of bn's, or from an ONNX file.
pub(crate) fn load(path: &Path) -> Result<Loaded, Error> {
    if is_onnx(path) {
        return Ok(Loaded {
            model: bn_onnx::load(path)?.into(),
            origin: None,
        });
    }
    let checkpoint = open(path)?;
    Ok(Loaded {
        model: of_checkpoint(&checkpoint)?,
        origin: checkpoint.value(ORIGIN).ok(), // only files of bn train have it
    })
}

/// Reads a file of arrays of this library.
pub(crate) fn open(path: &Path) -> Result<Checkpoint, Error> {
    Checkpoint::load(path).map_err(|error| match error {
        bn_net::Error::Read { source, .. } if is_missing(&source) => Error::file(
            format!("there is no file {}", path.display()),
            "train a model with bn train, or give the path of one",
        ),
        error => error.into(),
    })
}

fn is_missing(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}

/// The model of a file, whatever the precision of its values.
fn of_checkpoint(checkpoint: &Checkpoint) -> Result<Model, Error> {
    let error = match Model::<f32>::from_checkpoint(checkpoint) {
        Ok(model) => return Ok(model),
        Err(error) => error,
    };
    let Ok(wide) = Model::<f64>::from_checkpoint(checkpoint) else {
        return Err(error.into());
    };
    Ok(Model {
        network: wide.network.to()?,
        preprocessing: wide.preprocessing,
        classes: wide.classes,
    })
}

/// The network of this name, whatever the precision of its values.
pub(crate) fn network(checkpoint: &Checkpoint, name: &str) -> Result<Network, Error> {
    let error = match checkpoint.network::<f32>(name) {
        Ok(network) => return Ok(network),
        Err(error) => error,
    };
    match checkpoint.network::<f64>(name) {
        Ok(wide) => Ok(wide.to()?),
        Err(_) => Err(error.into()),
    }
}

pub(crate) fn is_onnx(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("onnx"))
}

/// Writes a model with its origin.
pub(crate) fn save(path: &Path, model: &Model, origin: &Origin) -> Result<(), Error> {
    let mut checkpoint = model.to_checkpoint()?;
    checkpoint.add_value(ORIGIN, origin)?;
    Ok(checkpoint.save(path)?)
}

/// Prepares a picture as [`Framing::apply`] does, and says what was done.
pub(crate) fn describe_framing(framed: &Framed, size: (usize, usize)) -> String {
    let (rows, columns) = &framed.ink;
    let inverted = if framed.is_inverted { "inverted, " } else { "" };
    format!(
        "{inverted}cropped to the ink ({}×{} pixels at row {}, column {}), scaled and centred in {}×{}",
        rows.len(),
        columns.len(),
        rows.start,
        columns.start,
        size.0,
        size.1
    )
}
