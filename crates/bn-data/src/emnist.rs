//! EMNIST, handwritten letters and digits in the form of MNIST.

use std::{ops::RangeInclusive, path::Path};

use crate::{
    dataset::Dataset,
    error::{Error, Result},
    mnist_format::{self, LoadOptions, PixelOrder},
    source::{Files, Place},
};

static EMNIST: Place = Place {
    name: "EMNIST",
    folders: &["emnist", "emnist/gzip", "EMNIST/raw", "gzip"],
    home: "https://www.nist.gov/itl/products-and-services/emnist-dataset (gzip.zip)",
    first_labels: None,
};

/// 0 to 9, A to Z, a to z, in the order of the labels of `byclass`.
const NAMES: [&str; 62] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", //
    "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", //
    "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z", //
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", //
    "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z",
];

/// The same without the small letters that look like capitals: c, i, j, k, l, m, o, p, s, u, v, w, x, y, z.
const MERGED_NAMES: [&str; 47] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", //
    "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", //
    "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z", //
    "a", "b", "d", "e", "f", "g", "h", "n", "q", "r", "t",
];

/// A division of [`Emnist`] into classes, with its own files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EmnistSplit {
    /// All images, 62 classes: digits, capitals and small letters. 697,932 and 116,323 images.
    ByClass,
    /// All images, 47 classes: the small letters that look like their capitals have the same class as these.
    ByMerge,
    /// The classes of `ByMerge` with equally many images. 112,800 and 18,800 images.
    Balanced,
    /// 26 classes, each a capital and its small letter. 124,800 and 20,800 images.
    Letters,
    /// The ten digits. 240,000 and 40,000 images.
    Digits,
    /// The ten digits, as many as in MNIST. 60,000 and 10,000 images.
    Mnist,
}

impl EmnistSplit {
    /// All splits.
    pub const ALL: [Self; 6] = [
        Self::ByClass,
        Self::ByMerge,
        Self::Balanced,
        Self::Letters,
        Self::Digits,
        Self::Mnist,
    ];

    /// The name in the names of the files, such as `balanced`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ByClass => "byclass",
            Self::ByMerge => "bymerge",
            Self::Balanced => "balanced",
            Self::Letters => "letters",
            Self::Digits => "digits",
            Self::Mnist => "mnist",
        }
    }

    /// The name of each class, by its label. A class of a capital and its small letter has the name of the
    /// capital.
    ///
    /// ```
    /// use bn_data::EmnistSplit;
    ///
    /// assert_eq!(EmnistSplit::ByClass.class_names()[61], "z");
    /// assert_eq!(EmnistSplit::Balanced.class_names().len(), 47);
    /// assert_eq!(EmnistSplit::Letters.class_names()[0], "A");
    /// ```
    #[must_use]
    pub fn class_names(self) -> &'static [&'static str] {
        match self {
            Self::ByClass => &NAMES,
            Self::ByMerge | Self::Balanced => &MERGED_NAMES,
            Self::Letters => &NAMES[10..36],
            Self::Digits | Self::Mnist => &NAMES[..10],
        }
    }

    /// The data set's name in messages.
    fn title(self) -> &'static str {
        match self {
            Self::ByClass => "EMNIST byclass",
            Self::ByMerge => "EMNIST bymerge",
            Self::Balanced => "EMNIST balanced",
            Self::Letters => "EMNIST letters",
            Self::Digits => "EMNIST digits",
            Self::Mnist => "EMNIST mnist",
        }
    }

    fn files(self) -> Files<String> {
        let file = |rest| format!("emnist-{}-{rest}", self.name());
        Files {
            train_images: file("train-images-idx3-ubyte"),
            train_labels: file("train-labels-idx1-ubyte"),
            test_images: file("test-images-idx3-ubyte"),
            test_labels: file("test-labels-idx1-ubyte"),
        }
    }

    /// The labels in the files.
    fn labels(self) -> RangeInclusive<usize> {
        let first = match self {
            Self::Letters => 1,
            _ => 0,
        };
        first..=first + self.class_names().len() - 1
    }

    /// The training images of the published data set.
    fn train_len(self) -> usize {
        match self {
            Self::ByClass | Self::ByMerge => 697_932,
            Self::Balanced => 112_800,
            Self::Letters => 124_800,
            Self::Digits => 240_000,
            Self::Mnist => 60_000,
        }
    }

    /// The labels counted from 0, from those of a file.
    fn zero_based(self, mut labels: Vec<usize>) -> Result<Vec<usize>> {
        self.check_split(&labels)?;
        let known = self.labels();
        for (index, label) in labels.iter_mut().enumerate() {
            if !known.contains(label) {
                return Err(Error::UnknownLabel {
                    dataset: self.title(),
                    index,
                    label: *label as i64,
                    first: *known.start() as i64,
                    last: *known.end() as i64,
                });
            }
            *label -= known.start();
        }
        Ok(labels)
    }

    /// Refuses the training labels of another split, which is known by their number and the largest one.
    fn check_split(self, labels: &[usize]) -> Result<()> {
        let largest = labels.iter().max();
        let found = Self::ALL.into_iter().find(|split| {
            labels.len() == split.train_len() && largest == Some(split.labels().end())
        });
        match found {
            Some(other) if other != self => Err(Error::OtherDataset {
                expected: self.title(),
                got: other.title(),
            }),
            _ => Ok(()),
        }
    }
}

/// EMNIST: images of handwritten letters and digits, 28 x 28 grey pixels, in six [splits](EmnistSplit).
///
/// The files hold the pixels column after column; the images are upright after loading. The labels of the
/// letters, which are 1 to 26 in the files, are 0 to 25.
///
/// By Gregory Cohen, Saeed Afshar, Jonathan Tapson and André van Schaik (2017), arXiv:1702.05373, from NIST
/// Special Database 19, <https://www.nist.gov/itl/products-and-services/emnist-dataset>. The files are not
/// downloaded.
///
/// ```no_run
/// use bn_data::{Emnist, EmnistSplit};
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let letters = Emnist::load("data", EmnistSplit::Letters)?; // from data/emnist/, data/EMNIST/raw/, …
/// assert_eq!(letters.train().classes(), 26);
/// println!("{}", letters.class_names()[letters.train().labels()[0]]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Emnist {
    split: EmnistSplit,
    train: Dataset,
    test: Dataset,
}

impl Emnist {
    /// Loads the four files of `split` from `emnist/`, `emnist/gzip/`, `EMNIST/raw/` (torchvision's) or `gzip/`
    /// (NIST's archive `gzip.zip`) in `dir`, or from `dir` itself: the first of these folders that has all four.
    ///
    /// The files have their original names, such as `emnist-letters-train-images-idx3-ubyte`. They may be packed
    /// (`.gz`). Pixels are divided by 255. `ByClass` and `ByMerge` need 3 GB of memory.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] with the folders that were searched. [`Error::InFile`] if a file is not an intact IDX
    /// file, if its elements are not bytes, if images are not 28 x 28, if a label is not one of the split, if
    /// there are not as many labels as images, if the labels are those of another split, or if there is no memory
    /// for the images.
    pub fn load(dir: impl AsRef<Path>, split: EmnistSplit) -> Result<Self> {
        Self::load_with(dir, split, LoadOptions::default())
    }

    /// [`Emnist::load`] with options.
    ///
    /// # Errors
    ///
    /// As [`Emnist::load`].
    pub fn load_with(
        dir: impl AsRef<Path>,
        split: EmnistSplit,
        options: LoadOptions,
    ) -> Result<Self> {
        let files = EMNIST.find(dir.as_ref(), &split.files())?;
        let part = |images: &Path, file: &Path| {
            let labels = mnist_format::read_labels(file)?;
            let labels = split
                .zero_based(labels)
                .map_err(|problem| problem.in_file(file))?;
            let images = mnist_format::read_images(images, PixelOrder::Columns, options)?;
            mnist_format::dataset(images, labels, split.class_names().len(), file)
        };
        let train = part(&files.train_images, &files.train_labels)?;
        let test = part(&files.test_images, &files.test_labels)?;
        Ok(Emnist { split, train, test })
    }

    /// The split that was loaded.
    #[must_use]
    pub fn split(&self) -> EmnistSplit {
        self.split
    }

    /// The name of each class, by its label: [`EmnistSplit::class_names`].
    #[must_use]
    pub fn class_names(&self) -> &'static [&'static str] {
        self.split.class_names()
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
