//! Loading the data sets that have the form of MNIST: images of 28 x 28 grey pixels in IDX files.

use std::path::Path;

use bn_tensor::try_zeros;
use ndarray::{Array2, Array3, ArrayD, Ix1, Ix3, Zip};

use crate::{
    dataset::Dataset,
    error::{Error, Result},
    idx::Idx,
    source::{FASHION_MNIST, KMNIST, MNIST, Place},
};
#[cfg(feature = "download")]
use crate::{download::Download, source::Source};

const SIDE: usize = 28;
pub(crate) const CLASSES: usize = 10;

/// Options for loading [`Mnist`](crate::Mnist) and the data sets like it. The other options of the book's
/// `load_mnist` are methods of [`Dataset`].
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

/// The order of the pixels of an image in a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum PixelOrder {
    /// Row after row, as in MNIST.
    Rows,
    /// Column after column, as in EMNIST: read row after row, the image is mirrored at its diagonal.
    Columns,
}

/// `(train, test)` from a folder or its known sub-folders; the files have MNIST's names.
pub(crate) fn load(place: &Place, dir: &Path, options: LoadOptions) -> Result<(Dataset, Dataset)> {
    let files = place.find(dir, &MNIST.files)?;
    let part = |images: &Path, labels: &Path| {
        let list = read_labels(labels)?;
        check_dataset(place, &list).map_err(|problem| problem.in_file(labels))?;
        let rows = read_images(images, PixelOrder::Rows, options)?;
        dataset(rows, list, CLASSES, labels)
    };
    let train = part(&files.train_images, &files.train_labels)?;
    let test = part(&files.test_images, &files.test_labels)?;
    Ok((train, test))
}

/// `(train, test)` from the folder that the user named, if it has them, otherwise from the cache.
#[cfg(feature = "download")]
pub(crate) fn load_or_download(source: &Source, dir: Option<&Path>) -> Result<(Dataset, Dataset)> {
    let options = LoadOptions::default();
    if let Some(dir) = dir {
        match load(&source.place, dir, options) {
            Err(Error::NotFound { .. }) => {}
            // The files in BN_DATA_DIR may be those of another data set.
            Err(Error::InFile { problem, .. })
                if matches!(*problem, Error::OtherDataset { .. }) => {}
            result => return result,
        }
    }
    let folder = Download::default().fetch(source)?;
    load(&source.place, &folder, options)
}

/// Refuses the labels of another data set whose files have the same names.
fn check_dataset(place: &Place, labels: &[usize]) -> Result<()> {
    let begins = |place: &Place| {
        let first = place.first_labels.as_ref();
        first.is_some_and(|first| labels.starts_with(first))
    };
    let other = [&MNIST.place, &FASHION_MNIST.place, &KMNIST]
        .into_iter()
        .find(|other| other.name != place.name && begins(other));
    match other {
        None => Ok(()),
        Some(other) => Err(Error::OtherDataset {
            expected: place.name,
            got: other.name,
        }),
    }
}

/// The data set of these images and their labels, which are from `file`.
pub(crate) fn dataset(
    images: Array2<f32>,
    labels: Vec<usize>,
    classes: usize,
    file: &Path,
) -> Result<Dataset> {
    Dataset::new(images, labels, (SIDE, SIDE, 1), classes).map_err(|problem| problem.in_file(file))
}

/// (N, 28*28)
pub(crate) fn read_images(
    file: &Path,
    order: PixelOrder,
    options: LoadOptions,
) -> Result<Array2<f32>> {
    let read = || rows(Idx::open(file)?.try_into()?, order, options);
    read().map_err(|problem: Error| problem.in_file(file))
}

/// (N, 28*28), from bytes (N, 28, 28)
pub(crate) fn rows(
    pixels: ArrayD<u8>,
    order: PixelOrder,
    options: LoadOptions,
) -> Result<Array2<f32>> {
    let mut pixels = byte_images(pixels)?;
    if order == PixelOrder::Columns {
        pixels.swap_axes(1, 2);
    }
    let scale = if options.normalize { 255.0 } else { 1.0 };
    let mut images = try_zeros("loading images", pixels.raw_dim())?;
    Zip::from(&mut images)
        .and(&pixels)
        .for_each(|image: &mut f32, &pixel| *image = f32::from(pixel) / scale);
    let rows = (images.len() / (SIDE * SIDE), SIDE * SIDE);
    Ok(images
        .into_shape_with_order(rows)
        .expect("the same number of elements"))
}

/// (N, 28, 28)
fn byte_images(pixels: ArrayD<u8>) -> Result<Array3<u8>> {
    let got = pixels.shape().to_vec();
    match pixels.into_dimensionality::<Ix3>() {
        Ok(pixels) if got[1..] == [SIDE, SIDE] => Ok(pixels),
        _ => Err(Error::ShapeMismatch {
            op: "a file of images",
            expected: format!("(N, {SIDE}, {SIDE})"),
            got,
        }),
    }
}

/// (N)
pub(crate) fn read_labels(file: &Path) -> Result<Vec<usize>> {
    let read = || list(Idx::open(file)?.try_into()?);
    read().map_err(|problem: Error| problem.in_file(file))
}

/// (N), from bytes (N)
pub(crate) fn list(labels: ArrayD<u8>) -> Result<Vec<usize>> {
    let got = labels.shape().to_vec();
    let labels = labels
        .into_dimensionality::<Ix1>()
        .map_err(|_| Error::ShapeMismatch {
            op: "a file of labels",
            expected: "(N)".to_owned(),
            got,
        })?;
    Ok(labels.iter().map(|&label| label.into()).collect())
}
