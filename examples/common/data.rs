//! The data sets.

use anyhow::{Result, anyhow};
use batchnorm::data::{Dataset, Error};
use batchnorm::{Digits, FashionMnist, Mnist};
use clap::ValueEnum;
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DataKind {
    /// 1,797 handwritten digits of 8×8 pixels, part of the library
    Digits,
    /// 70,000 handwritten digits of 28×28 pixels
    Mnist,
    /// 70,000 pieces of clothing of 28×28 pixels
    Fashion,
}

/// The value of `--data`.
impl std::fmt::Display for DataKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Digits => "digits",
            Self::Mnist => "mnist",
            Self::Fashion => "fashion",
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
        }
    }

    /// The height and width of the images.
    pub fn side(self) -> usize {
        match self {
            Self::Digits => 8,
            Self::Mnist | Self::Fashion => 28,
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
        #[cfg(feature = "download")]
        (DataKind::Mnist, None) => Mnist::load_or_download()?.into_parts(),
        #[cfg(feature = "download")]
        (DataKind::Fashion, None) => FashionMnist::load_or_download()?.into_parts(),
        // A build that cannot download.
        #[cfg(not(feature = "download"))]
        (kind, None) => {
            let folder = std::env::var_os("BN_DATA_DIR").ok_or(Error::NoCacheFolder)?;
            return read(kind, Some(Path::new(&folder)));
        }
    })
}
