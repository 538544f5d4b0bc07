//! MNIST, and how the data sets in its form are loaded.

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

/// How [`Mnist`] and [`FashionMnist`](crate::FashionMnist) are loaded; the other options of the
/// book's `load_mnist` are methods of [`Dataset`].
///
/// ```
/// let raw = bn_data::LoadOptions::default().normalize(false);
/// assert!(!raw.normalize);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadOptions {
    /// Whether pixels are divided by 255, to lie in 0..=1 (the default), or stay 0..=255.
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

/// MNIST: handwritten digits, 28 x 28 grey pixels, 60,000 to train and 10,000 to test on.
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
    /// The names are those of the original files, `train-images-idx3-ubyte` and so on, or with a
    /// dot, `train-images.idx3-ubyte`; packed (`.gz`) or not. Pixels are divided by 255.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] with the folders that were looked in, or [`Error::InFile`] with what is
    /// wrong with a file: it is no intact IDX file, has other elements than bytes, images of
    /// another size than 28 x 28, a label above 9, more or fewer labels than there are images, or
    /// it is Fashion-MNIST's.
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

    /// Loads from the folder that the variable `BN_DATA_DIR` names, if the files are there, else
    /// from the platform's cache folder, into which missing files are downloaded.
    ///
    /// # Errors
    ///
    /// As [`Mnist::load_or_download_with`].
    #[cfg(feature = "download")]
    pub fn load_or_download() -> Result<Self> {
        let (train, test) = load_or_download(&MNIST, data_dir(None).as_deref())?;
        Ok(Mnist { train, test })
    }

    /// Loads from the cache folder of `download`, into which missing files are downloaded; each
    /// is checked by the SHA-256 of its unpacked bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Download`] if no mirror gave an intact file, with what each answered and where to
    /// put the files by hand; [`Error::CacheFolder`] or [`Error::NoCacheFolder`]; and as
    /// [`Mnist::load`].
    #[cfg(feature = "download")]
    pub fn load_or_download_with(download: &Download, options: LoadOptions) -> Result<Self> {
        let (train, test) = load(&MNIST, &download.fetch(&MNIST)?, options)?;
        Ok(Mnist { train, test })
    }

    /// The images to train on.
    #[must_use]
    pub fn train(&self) -> &Dataset {
        &self.train
    }

    /// The images to test on.
    #[must_use]
    pub fn test(&self) -> &Dataset {
        &self.test
    }

    /// `(train, test)`, to be owned and changed.
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

/// `(train, test)` from the folder that the user named, if it has them, else from the cache.
#[cfg(feature = "download")]
pub(crate) fn load_or_download(source: &Source, dir: Option<&Path>) -> Result<(Dataset, Dataset)> {
    let options = LoadOptions::default();
    if let Some(dir) = dir {
        match load(source, dir, options) {
            Err(Error::NotFound { .. }) => {}
            // BN_DATA_DIR may be meant for the other data set.
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
