//! The formats of models. A new one is a variant, with an arm in each function.

use super::book;
use crate::{error::Error, model, model::Loaded};
use bn_data::Preprocessing;
use std::path::Path;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Format {
    Bn,
    Onnx,
    Keras,
    Book,
}

impl Format {
    pub(super) fn of(path: &Path, is_book: bool) -> Result<Self, Error> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        match extension.to_ascii_lowercase().as_str() {
            "safetensors" => Ok(Self::Bn),
            "onnx" => Ok(Self::Onnx),
            "npz" if is_book => Ok(Self::Book),
            "npz" => Ok(Self::Keras),
            _ => Err(Error::usage(
                format!("{} has no format that is known", path.display()),
                "give names that end in .safetensors, .onnx or .npz",
            )),
        }
    }

    /// `template` has the layers of a format that does not describe them.
    pub(super) fn read(self, path: &Path, template: Option<Loaded>) -> Result<Loaded, Error> {
        match (self, template) {
            (Self::Bn | Self::Onnx, _) => model::load(path),
            (Self::Keras, Some(mut loaded)) => {
                loaded.model.network.load_keras_weights(path)?;
                Ok(loaded)
            }
            (Self::Keras, None) => Err(Error::usage(
                format!(
                    "{} has weights, but not the layers that they belong to",
                    path.display()
                ),
                "give a model with these layers with --network, or --book for the arrays of the book's programs",
            )),
            (Self::Book, _) => Ok(Loaded {
                model: book::read(path)?.into(),
                origin: None,
            }),
        }
    }

    /// Returns what the format has no place for.
    pub(super) fn write(self, path: &Path, loaded: &Loaded) -> Result<Vec<&'static str>, Error> {
        let model = &loaded.model;
        match self {
            Self::Bn => match &loaded.origin {
                Some(origin) => model::save(path, model, origin)?,
                None => model.save(path)?,
            },
            Self::Onnx => bn_onnx::save(&model.network, path)?,
            Self::Keras => model.network.save_keras_weights(path)?,
            Self::Book => book::write(path, &model.network)?,
        }
        let mut lost = Vec::new();
        if self == Self::Bn {
            return Ok(lost);
        }
        if self != Self::Onnx {
            lost.push("the layers");
        }
        if model.preprocessing != Preprocessing::default() {
            lost.push("the preprocessing of the input");
        }
        if !model.classes.is_empty() {
            lost.push("the names of the classes");
        }
        Ok(lost)
    }
}
