//! The data sets that have names.

use super::Source;
use crate::error::Error;
use bn_data::{Dataset, Digits, Emnist, EmnistSplit, FashionMnist, Kmnist, Mnist, Qmnist};
use std::path::Path;

/// The largest value of a pixel in the files of MNIST.
const BYTE: f64 = 255.0;

#[derive(Clone, Copy)]
pub(super) enum Named {
    Digits,
    Mnist,
    Fashion,
    Kmnist,
    Qmnist,
    Emnist(EmnistSplit),
}

impl Named {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "digits" => Self::Digits,
            "mnist" => Self::Mnist,
            "fashion" => Self::Fashion,
            "kmnist" => Self::Kmnist,
            "qmnist" => Self::Qmnist,
            "emnist" => Self::Emnist(EmnistSplit::Balanced),
            _ => {
                let split = name.strip_prefix("emnist-")?;
                let is_it = |known: &EmnistSplit| known.name() == split;
                Self::Emnist(EmnistSplit::ALL.into_iter().find(is_it)?)
            }
        })
    }

    /// Reads it from the folder, from that of `BN_DATA_DIR`, or from the cache folder after a download.
    pub(super) fn read(self, folder: Option<&Path>) -> Result<Source, Error> {
        let numbers = || (0..10).map(|digit| digit.to_string()).collect();
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let there = bn_data::data_dir(folder);
        let needed = || there.as_deref().ok_or(bn_data::Error::NoCacheFolder);
        let (parts, max_value, classes): ((Dataset, Dataset), f64, Vec<String>) = match self {
            Self::Digits => (Digits::load()?.into_parts(), 16.0, numbers()),
            Self::Mnist => {
                let mnist = match folder {
                    Some(folder) => Mnist::load(folder)?,
                    #[cfg(feature = "download")]
                    None => Mnist::load_or_download()?,
                    #[cfg(not(feature = "download"))]
                    None => Mnist::load(needed()?)?,
                };
                (mnist.into_parts(), BYTE, numbers())
            }
            Self::Fashion => {
                let fashion = match folder {
                    Some(folder) => FashionMnist::load(folder)?,
                    #[cfg(feature = "download")]
                    None => FashionMnist::load_or_download()?,
                    #[cfg(not(feature = "download"))]
                    None => FashionMnist::load(needed()?)?,
                };
                (
                    fashion.into_parts(),
                    BYTE,
                    names(&FashionMnist::CLASS_NAMES),
                )
            }
            Self::Kmnist => {
                let parts = Kmnist::load(needed()?)?.into_parts();
                (parts, BYTE, names(&Kmnist::CLASS_NAMES))
            }
            Self::Qmnist => (Qmnist::load(needed()?)?.into_parts(), BYTE, numbers()),
            Self::Emnist(split) => {
                let parts = Emnist::load(needed()?, split)?.into_parts();
                (parts, BYTE, names(split.class_names()))
            }
        };
        Ok(Source {
            train: parts.0,
            test: Some(parts.1),
            max_value,
            classes,
        })
    }
}
