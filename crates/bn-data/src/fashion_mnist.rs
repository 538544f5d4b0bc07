//! Fashion-MNIST, which has the form of MNIST.

use std::path::Path;

use crate::{
    dataset::Dataset,
    error::Result,
    mnist_format::{self, CLASSES, LoadOptions},
    source::FASHION_MNIST,
};
#[cfg(feature = "download")]
use crate::{download::Download, source::data_dir};

/// Fashion-MNIST: images of clothes, in the form of [`Mnist`](crate::Mnist) but harder to classify.
///
/// By Han Xiao, Kashif Rasul and Roland Vollgraf (Zalando Research, 2017; MIT licence),
/// arXiv:1708.07747, <https://github.com/zalandoresearch/fashion-mnist>.
///
/// ```no_run
/// use bn_data::FashionMnist;
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let fashion = FashionMnist::load("data")?; // or its sub-folder fashion-mnist
/// println!("{}", FashionMnist::CLASS_NAMES[fashion.train().labels()[0]]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct FashionMnist {
    train: Dataset,
    test: Dataset,
}

impl FashionMnist {
    /// The name of each class, by its label.
    pub const CLASS_NAMES: [&'static str; CLASSES] = [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ];

    /// Loads the four files from `fashion-mnist/` or `FashionMNIST/raw/` (torchvision's) in `dir`,
    /// or from `dir` itself: the first of these folders that has all four.
    ///
    /// The files have the same names as those of MNIST, so keep each data set in its own folder.
    ///
    /// # Errors
    ///
    /// As [`Mnist::load`](crate::Mnist::load).
    pub fn load(dir: impl AsRef<Path>) -> Result<Self> {
        Self::load_with(dir, LoadOptions::default())
    }

    /// [`FashionMnist::load`] with options.
    ///
    /// # Errors
    ///
    /// As [`Mnist::load`](crate::Mnist::load).
    pub fn load_with(dir: impl AsRef<Path>, options: LoadOptions) -> Result<Self> {
        let (train, test) = mnist_format::load(&FASHION_MNIST.place, dir.as_ref(), options)?;
        Ok(FashionMnist { train, test })
    }

    /// Loads from the folder that the variable `BN_DATA_DIR` names, if the files are there, and
    /// otherwise from the platform's cache folder, into which missing files are downloaded.
    ///
    /// # Errors
    ///
    /// As [`Mnist::load_or_download_with`](crate::Mnist::load_or_download_with).
    #[cfg(feature = "download")]
    pub fn load_or_download() -> Result<Self> {
        let dir = data_dir(None);
        let (train, test) = mnist_format::load_or_download(&FASHION_MNIST, dir.as_deref())?;
        Ok(FashionMnist { train, test })
    }

    /// Loads from the cache folder of `download`, into which missing files are downloaded. The SHA-256
    /// of the unpacked bytes of each file is checked.
    ///
    /// # Errors
    ///
    /// As [`Mnist::load_or_download_with`](crate::Mnist::load_or_download_with).
    #[cfg(feature = "download")]
    pub fn load_or_download_with(download: &Download, options: LoadOptions) -> Result<Self> {
        Self::load_with(download.fetch(&FASHION_MNIST)?, options)
    }

    /// The training images.
    #[must_use]
    pub fn train(&self) -> &Dataset {
        &self.train
    }

    /// The test images.
    #[must_use]
    pub fn test(&self) -> &Dataset {
        &self.test
    }

    /// Returns `(train, test)`.
    #[must_use]
    pub fn into_parts(self) -> (Dataset, Dataset) {
        (self.train, self.test)
    }
}
