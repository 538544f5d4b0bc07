//! KMNIST, which has the form of MNIST.

use std::path::Path;

use crate::{
    dataset::Dataset,
    error::Result,
    mnist_format::{self, CLASSES, LoadOptions},
    source::KMNIST,
};

/// KMNIST (Kuzushiji-MNIST): images of ten hiragana from old Japanese books, in the form of
/// [`Mnist`](crate::Mnist), 60,000 for training and 10,000 for tests.
///
/// By Tarin Clanuwat, Mikel Bober-Irizar, Asanobu Kitamoto, Alex Lamb, Kazuaki Yamamoto and David Ha
/// (2018; CC BY-SA 4.0), arXiv:1812.01718, <http://codh.rois.ac.jp/kmnist/>. The files are not downloaded.
///
/// ```no_run
/// use bn_data::Kmnist;
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let kmnist = Kmnist::load("data")?; // from data/kmnist/, data/KMNIST/raw/ or data/
/// println!("{}", Kmnist::CLASS_NAMES[kmnist.train().labels()[0]]); // れ
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Kmnist {
    train: Dataset,
    test: Dataset,
}

impl Kmnist {
    /// The hiragana of each class, by its label.
    pub const CLASS_NAMES: [&'static str; CLASSES] =
        ["お", "き", "す", "つ", "な", "は", "ま", "や", "れ", "を"];

    /// Loads the four files from `kmnist/` or `KMNIST/raw/` (torchvision's) in `dir`, or from `dir`
    /// itself: the first of these folders that has all four.
    ///
    /// The files have the same names as those of MNIST, so keep each data set in its own folder.
    ///
    /// # Errors
    ///
    /// As [`Mnist::load`](crate::Mnist::load); the files of MNIST or Fashion-MNIST are refused.
    pub fn load(dir: impl AsRef<Path>) -> Result<Self> {
        Self::load_with(dir, LoadOptions::default())
    }

    /// [`Kmnist::load`] with options.
    ///
    /// # Errors
    ///
    /// As [`Kmnist::load`].
    pub fn load_with(dir: impl AsRef<Path>, options: LoadOptions) -> Result<Self> {
        let (train, test) = mnist_format::load(&KMNIST, dir.as_ref(), options)?;
        Ok(Kmnist { train, test })
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
