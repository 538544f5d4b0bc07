//! The data sets.

use anyhow::{Result, anyhow};
use batchnorm::data::{Dataset, Error, data_dir};
use batchnorm::{Digits, Emnist, EmnistSplit, FashionMnist, Kmnist, Mnist, Qmnist};
use clap::ValueEnum;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DataKind {
    /// 1,797 handwritten digits of 8×8 pixels, part of the library
    Digits,
    /// 70,000 handwritten digits of 28×28 pixels
    Mnist,
    /// 70,000 pieces of clothing of 28×28 pixels
    Fashion,
    /// 131,600 handwritten digits and letters of 28×28 pixels, 47 classes: the files emnist-balanced-…,
    /// which are not downloaded
    Emnist,
    /// 70,000 hiragana of 28×28 pixels, in files with the names of MNIST's, which are not downloaded
    Kmnist,
    /// MNIST with 60,000 test images: the files qmnist-…, which are not downloaded
    Qmnist,
}

/// The value of `--data`.
impl std::fmt::Display for DataKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Digits => "digits",
            Self::Mnist => "mnist",
            Self::Fashion => "fashion",
            Self::Emnist => "emnist",
            Self::Kmnist => "kmnist",
            Self::Qmnist => "qmnist",
        })
    }
}

impl DataKind {
    /// The name in texts and pictures.
    pub fn title(self) -> &'static str {
        match self {
            Self::Digits => "UCI digits",
            Self::Mnist => "MNIST",
            Self::Fashion => "Fashion-MNIST",
            Self::Emnist => "EMNIST balanced",
            Self::Kmnist => "KMNIST",
            Self::Qmnist => "QMNIST",
        }
    }

    /// The height and width of the images.
    pub fn side(self) -> usize {
        match self {
            Self::Digits => 8,
            _ => 28,
        }
    }
}

/// The images to train and to test on; only from `folder`, if there is one.
pub fn load(kind: DataKind, folder: Option<&Path>) -> Result<(Dataset, Dataset)> {
    read(kind, folder).map_err(|error| match error {
        Error::NotFound { .. }
        | Error::Download { .. }
        | Error::CacheFolder { .. }
        | Error::NoCacheFolder => anyhow!("{error}, or give another folder with --data-dir"),
        error => error.into(),
    })
}

fn read(kind: DataKind, folder: Option<&Path>) -> Result<(Dataset, Dataset), Error> {
    Ok(match (kind, folder) {
        (DataKind::Digits, _) => Digits::load()?.into_parts(),
        (DataKind::Mnist, Some(folder)) => Mnist::load(folder)?.into_parts(),
        (DataKind::Fashion, Some(folder)) => FashionMnist::load(folder)?.into_parts(),
        (DataKind::Emnist, Some(folder)) => {
            Emnist::load(folder, EmnistSplit::Balanced)?.into_parts()
        }
        (DataKind::Kmnist, Some(folder)) => Kmnist::load(folder)?.into_parts(),
        (DataKind::Qmnist, Some(folder)) => Qmnist::load(folder)?.into_parts(),
        #[cfg(feature = "download")]
        (DataKind::Mnist, None) => Mnist::load_or_download()?.into_parts(),
        #[cfg(feature = "download")]
        (DataKind::Fashion, None) => FashionMnist::load_or_download()?.into_parts(),
        // Not downloaded. Where no folder is named, the error says which files the current one lacks.
        (kind, None) => {
            let folder = data_dir(None).unwrap_or_else(|| PathBuf::from("."));
            return read(kind, Some(&folder));
        }
    })
}
