//! Which images.

use anyhow::Result;
use batchnorm::{Digits, FashionMnist, Mnist, data::Dataset};
use clap::ValueEnum;
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DataKind {
    /// 1,797 digits of 8×8 pixels, part of the library
    Digits,
    /// 70,000 digits of 28×28 pixels
    Mnist,
    /// 70,000 pieces of clothing of 28×28 pixels
    Fashion,
}

impl std::fmt::Display for DataKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Digits => "digits",
            Self::Mnist => "mnist",
            Self::Fashion => "fashion",
        })
    }
}

/// The images to train and to test on; from `folder` alone, if one is named.
pub(crate) fn load(kind: DataKind, folder: Option<&Path>) -> Result<(Dataset, Dataset)> {
    Ok(match (kind, folder) {
        (DataKind::Digits, _) => Digits::load()?.into_parts(),
        (DataKind::Mnist, Some(folder)) => Mnist::load(folder)?.into_parts(),
        (DataKind::Mnist, None) => Mnist::load_or_download()?.into_parts(),
        (DataKind::Fashion, Some(folder)) => FashionMnist::load(folder)?.into_parts(),
        (DataKind::Fashion, None) => FashionMnist::load_or_download()?.into_parts(),
    })
}
