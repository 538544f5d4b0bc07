//! MNIST, and loading the data sets that have its form.

use std::path::Path;

use ndarray::{Array2, ArrayD, Ix1};

use crate::{
    dataset::Dataset,
    error::{Error, Result},
    idx::Idx,
    source::{FASHION_MNIST, MNIST, Source},
};
#[cfg(feature = "download")]
use crate::{download::Download, source::data_dir};

const SIDE: usize = 28;
pub(crate) const CLASSES: usize = 10;

/// Options for loading [`Mnist`] and [`FashionMnist`](crate::FashionMnist). The other options of the
/// book's `load_mnist` are methods of [`Dataset`].
///
/// ```
/// let raw = bn_data::LoadOptions::default().normalize(false);
/// assert!(!raw.normalize);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadOptions {
    /// Whether pixels are divided by 255, so that they are between 0 and 1. This is the default;
    /// otherwise they are between 0 and 255.
    pub normalize: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions { normalize: true }
    }
}

impl LoadOptions {
    /// Sets whether pixels are divided by 255.
    #[must_use]
    pub fn normalize(mut self, normalize: bool) -> Self {
        self.normalize = normalize;
        self
    }
}

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
    /// [`Error::NotFound`] with the folders that were searched. [`Error::InFile`] if a file is not an
    /// intact IDX file, if its elements are not bytes, if images are not 28 x 28, if a label is above
    /// 9, if there are not as many labels as images, or if the file belongs to Fashion-MNIST.
    pub fn load(dir: impl AsRef<Path>) -> Result<Self> {
        Self::load_with(dir, LoadOptions::default())
    }

    /// [`Mnist::load`] with options.
    ///
    /// # Errors
    ///
    /// As [`Mnist::load`].
    pub fn load_with(dir: impl AsRef<Path>, options: LoadOptions) -> Result<Self> {
        let (train, test) = load(&MNIST, dir.as_ref(), options)?;
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
        let (train, test) = load_or_download(&MNIST, data_dir(None).as_deref())?;
        Ok(Mnist { train, test })
    }

    /// Loads from the cache folder of `download`, into which missing files are downloaded. The SHA-256
    /// of the unpacked bytes of each file is checked.
    ///
    /// # Errors
    ///
    /// [`Error::Download`] if no mirror sent an intact file; it contains the answer of each mirror, and
    /// where to put the files by hand. [`Error::CacheFolder`], [`Error::NoCacheFolder`], and the
    /// errors of [`Mnist::load`].
    #[cfg(feature = "download")]
    pub fn load_or_download_with(download: &Download, options: LoadOptions) -> Result<Self> {
        let (train, test) = load(&MNIST, &download.fetch(&MNIST)?, options)?;
        Ok(Mnist { train, test })
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

/// `(train, test)` from a folder or its known sub-folders.
pub(crate) fn load(
    source: &Source,
    dir: &Path,
    options: LoadOptions,
) -> Result<(Dataset, Dataset)> {
    let files = source.find(dir)?;
    let train = load_part(&files.train_images, &files.train_labels, options)?;
    check_dataset(source, train.labels())
        .map_err(|problem| problem.in_file(&files.train_labels))?;
    let test = load_part(&files.test_images, &files.test_labels, options)?;
    Ok((train, test))
}

/// `(train, test)` from the folder that the user named, if it has them, otherwise from the cache.
#[cfg(feature = "download")]
pub(crate) fn load_or_download(source: &Source, dir: Option<&Path>) -> Result<(Dataset, Dataset)> {
    let options = LoadOptions::default();
    if let Some(dir) = dir {
        match load(source, dir, options) {
            Err(Error::NotFound { .. }) => {}
            // The files in BN_DATA_DIR may be those of the other data set.
            Err(Error::InFile { problem, .. })
                if matches!(*problem, Error::OtherDataset { .. }) => {}
            result => return result,
        }
    }
    load(source, &Download::default().fetch(source)?, options)
}

/// Refuses the labels of the other data set, whose files have the same names.
fn check_dataset(source: &Source, train_labels: &[usize]) -> Result<()> {
    let other = [&MNIST, &FASHION_MNIST]
        .into_iter()
        .find(|other| other.name != source.name && train_labels.starts_with(&other.first_labels));
    match other {
        None => Ok(()),
        Some(other) => Err(Error::OtherDataset {
            expected: source.name,
            got: other.name,
        }),
    }
}

fn load_part(images: &Path, labels: &Path, options: LoadOptions) -> Result<Dataset> {
    let rows = read_images(images, options).map_err(|problem| problem.in_file(images))?;
    read_labels(labels)
        .and_then(|list| Dataset::new(rows, list, (SIDE, SIDE, 1), CLASSES))
        .map_err(|problem| problem.in_file(labels))
}

/// (N, 28*28)
fn read_images(path: &Path, options: LoadOptions) -> Result<Array2<f32>> {
    let pixels: ArrayD<u8> = Idx::open(path)?.try_into()?;
    let &[n, SIDE, SIDE] = pixels.shape() else {
        return Err(Error::ShapeMismatch {
            op: "MNIST's images",
            expected: format!("(N, {SIDE}, {SIDE})"),
            got: pixels.shape().to_vec(),
        });
    };
    let scale = if options.normalize { 255.0 } else { 1.0 };
    let rows = pixels.iter().map(|&x| f32::from(x) / scale).collect();
    Ok(Array2::from_shape_vec((n, SIDE * SIDE), rows).expect("the same number of elements"))
}

/// (N)
fn read_labels(path: &Path) -> Result<Vec<usize>> {
    let labels: ArrayD<u8> = Idx::open(path)?.try_into()?;
    let shape = labels.shape().to_vec();
    let labels = labels
        .into_dimensionality::<Ix1>()
        .map_err(|_| Error::ShapeMismatch {
            op: "MNIST's labels",
            expected: "(N)".to_owned(),
            got: shape,
        })?;
    Ok(labels.iter().map(|&label| label.into()).collect())
}
