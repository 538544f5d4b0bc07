//! Kuzushiji-49, KMNIST with all hiragana, in NumPy's files.

use std::path::Path;

use crate::{
    dataset::Dataset,
    error::Result,
    mnist_format::{self, LoadOptions, PixelOrder},
    npy::NpyReader,
    source::{Files, KUZUSHIJI_49},
};

const CLASSES: usize = 49;

const NAMES: Files<&str> = Files {
    train_images: "k49-train-imgs.npz",
    train_labels: "k49-train-labels.npz",
    test_images: "k49-test-imgs.npz",
    test_labels: "k49-test-labels.npz",
};

/// Kuzushiji-49: images of 48 hiragana and an iteration mark from old Japanese books, 28 x 28 grey pixels, 232,365 for
/// training and 38,547 for tests. The classes have from 456 to 7,000 images.
///
/// By the authors of [`Kmnist`](crate::Kmnist) (2018; CC BY-SA 4.0), arXiv:1812.01718,
/// <http://codh.rois.ac.jp/kmnist/>. The files are not downloaded.
///
/// ```no_run
/// use bn_data::Kuzushiji49;
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let data = Kuzushiji49::load("data")?; // from data/kuzushiji-49/, data/k49/ or data/
/// assert_eq!(data.train().images().dim(), (232_365, 784));
/// println!("{}", Kuzushiji49::CLASS_NAMES[data.train().labels()[0]]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Kuzushiji49 {
    train: Dataset,
    test: Dataset,
}

impl Kuzushiji49 {
    /// The character of each class, by its label.
    pub const CLASS_NAMES: [&'static str; CLASSES] = [
        "あ", "い", "う", "え", "お", "か", "き", "く", "け", "こ", //
        "さ", "し", "す", "せ", "そ", "た", "ち", "つ", "て", "と", //
        "な", "に", "ぬ", "ね", "の", "は", "ひ", "ふ", "へ", "ほ", //
        "ま", "み", "む", "め", "も", "や", "ゆ", "よ", //
        "ら", "り", "る", "れ", "ろ", "わ", "ゐ", "ゑ", "を", "ん", "ゝ",
    ];

    /// Loads the four files from `kuzushiji-49/` or `k49/` in `dir`, or from `dir` itself: the first of these folders
    /// that has all four. Pixels are divided by 255.
    ///
    /// The files have their original names, such as `k49-train-imgs.npz`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound) with the folders that were searched.
    /// [`Error::InFile`](crate::Error::InFile) if a file is not an intact `.npz` file with an array `arr_0`, if its
    /// elements are not bytes, if images are not 28 x 28, if a label is not below 49, if there are not as many labels
    /// as images, or if there is no memory for the images.
    pub fn load(dir: impl AsRef<Path>) -> Result<Self> {
        Self::load_with(dir, LoadOptions::default())
    }

    /// [`Kuzushiji49::load`] with options.
    ///
    /// # Errors
    ///
    /// As [`Kuzushiji49::load`].
    pub fn load_with(dir: impl AsRef<Path>, options: LoadOptions) -> Result<Self> {
        let files = KUZUSHIJI_49.find(dir.as_ref(), &NAMES)?;
        let part = |images: &Path, labels: &Path| {
            let rows = || {
                let pixels = NpyReader::new().open_npz(images, "arr_0")?.try_into()?;
                mnist_format::rows(pixels, PixelOrder::Rows, options)
            };
            let list =
                || mnist_format::list(NpyReader::new().open_npz(labels, "arr_0")?.try_into()?);
            let rows = rows().map_err(|problem| problem.in_file(images))?;
            let list = list().map_err(|problem| problem.in_file(labels))?;
            mnist_format::dataset(rows, list, CLASSES, labels)
        };
        let train = part(&files.train_images, &files.train_labels)?;
        let test = part(&files.test_images, &files.test_labels)?;
        Ok(Kuzushiji49 { train, test })
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
