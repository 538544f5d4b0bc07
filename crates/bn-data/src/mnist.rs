//! MNIST.

use std::path::Path;

use crate::{
    dataset::Dataset,
    error::Result,
    mnist_format::{self, LoadOptions},
    source::MNIST,
};
#[cfg(feature = "download")]
use crate::{download::Download, source::data_dir};

/// MNIST: images of handwritten digits, 28 x 28 grey pixels, 60,000 for training and 10,000 for tests.
///
/// By Yann LeCun, Corinna Cortes and Christopher Burges, <http://yann.lecun.com/exdb/mnist/>.
///
/// ```no_run
/// use bn_data::Mnist;
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let mnist = Mnist::load("data")?; // from data/mnist/, data/MNIST/raw/ or data/
/// assert_eq!(mnist.train().images().dim(), (60_000, 784));
/// assert_eq!(mnist.test().images_4d().dim(), (10_000, 28, 28, 1));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Mnist {
    train: Dataset,
    test: Dataset,
}

impl Mnist {
    /// Loads the four files from `mnist/` or `MNIST/raw/` (torchvision's) in `dir`, or from `dir`
    /// itself: the first of these folders that has all four.
    ///
    /// The files have their original names, such as `train-images-idx3-ubyte`, or the same names with a
    /// dot, `train-images.idx3-ubyte`. They may be packed (`.gz`). Pixels are divided by 255.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound) with the folders that were searched.
    /// [`Error::InFile`](crate::Error::InFile) if a file is not an intact IDX file, if its elements are not
    /// bytes, if images are not 28 x 28, if a label is above 9, if there are not as many labels as images, if
    /// the file belongs to Fashion-MNIST or KMNIST, or if there is no memory for the images.
    pub fn load(dir: impl AsRef<Path>) -> Result<Self> {
        Self::load_with(dir, LoadOptions::default())
    }

    /// [`Mnist::load`] with options.
    ///
    /// # Errors
    ///
    /// As [`Mnist::load`].
    pub fn load_with(dir: impl AsRef<Path>, options: LoadOptions) -> Result<Self> {
        let (train, test) = mnist_format::load(&MNIST.place, dir.as_ref(), options)?;
        Ok(Mnist { train, test })
    }

    /// Loads from the folder that the variable `BN_DATA_DIR` names, if the files are there, and
    /// otherwise from the platform's cache folder, into which missing files are downloaded.
    ///
    /// # Errors
    ///
    /// As [`Mnist::load_or_download_with`].
    #[cfg(feature = "download")]
    pub fn load_or_download() -> Result<Self> {
        let dir = data_dir(None);
        let (train, test) = mnist_format::load_or_download(&MNIST, dir.as_deref())?;
        Ok(Mnist { train, test })
    }

    /// Loads from the cache folder of `download`, into which missing files are downloaded. The SHA-256
    /// of the unpacked bytes of each file is checked.
    ///
    /// # Errors
    ///
    /// [`Error::Download`](crate::Error::Download) if no mirror sent an intact file; it contains the answer of
    /// each mirror, and where to put the files by hand. [`Error::CacheFolder`](crate::Error::CacheFolder),
    /// [`Error::NoCacheFolder`](crate::Error::NoCacheFolder), and the errors of [`Mnist::load`].
    #[cfg(feature = "download")]
    pub fn load_or_download_with(download: &Download, options: LoadOptions) -> Result<Self> {
        Self::load_with(download.fetch(&MNIST)?, options)
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
