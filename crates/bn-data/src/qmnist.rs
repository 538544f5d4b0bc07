//! QMNIST, which is MNIST with all of its test images and the origin of each image.

use std::path::Path;

use ndarray::{ArrayD, Axis, Ix2};

use crate::{
    dataset::Dataset,
    error::{Error, Result},
    idx::Idx,
    mnist_format::{self, CLASSES, LoadOptions, PixelOrder},
    source::{Files, Place},
};

const COLUMNS: usize = 8;

static QMNIST: Place = Place {
    name: "QMNIST",
    folders: &["qmnist", "QMNIST/raw"],
    home: "https://github.com/facebookresearch/qmnist",
    first_labels: None,
};

const NAMES: Files<&str> = Files {
    train_images: "qmnist-train-images-idx3-ubyte",
    train_labels: "qmnist-train-labels-idx2-int",
    test_images: "qmnist-test-images-idx3-ubyte",
    test_labels: "qmnist-test-labels-idx2-int",
};

/// QMNIST: MNIST made again from NIST's images, with the writer of each digit; 60,000 images for training and
/// 60,000 for tests.
///
/// The training images are those of [`Mnist`](crate::Mnist), in the same order, with small differences in the
/// pixels. The first 10,000 test images are MNIST's; the others were thought to be lost.
///
/// By Chhavi Yadav and Léon Bottou (2019; BSD licence), arXiv:1905.10498,
/// <https://github.com/facebookresearch/qmnist>. The files are not downloaded.
///
/// ```no_run
/// use bn_data::Qmnist;
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let qmnist = Qmnist::load("data")?; // from data/qmnist/, data/QMNIST/raw/ or data/
/// assert_eq!(qmnist.test().images().dim(), (60_000, 784));
/// let as_in_mnist = qmnist.test().take(10_000);
///
/// // The digits of one writer.
/// let labels = qmnist.train_labels();
/// let digits = (0..labels.len()).filter(|&i| labels[i].writer == 2154);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Qmnist {
    train: Dataset,
    test: Dataset,
    train_labels: Vec<QmnistLabel>, // (N)
    test_labels: Vec<QmnistLabel>,  // (N)
}

/// The label of an image of [`Qmnist`], which says where NIST has it: the columns of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QmnistLabel {
    /// The digit, 0 to 9.
    pub class: usize,
    /// The series of forms (HSF) of NIST's database: 0, 1 or 4. Series 4 was written by students, the others
    /// by employees of the census bureau.
    pub series: i32,
    /// The writer.
    pub writer: i32,
    /// The number of the digit among those of the writer, from 0.
    pub index_of_writer: i32,
    /// NIST's code of the class, 30 to 39.
    pub nist_class: i32,
    /// The number of the digit among all of NIST's, from 0.
    pub nist_index: i32,
    /// The `nist_index` of the same image elsewhere in the database; 0 if there is none, as in all of QMNIST.
    pub duplicate: i32,
    /// The last column, which is not used.
    pub unused: i32,
}

impl Qmnist {
    /// Loads the four files from `qmnist/` or `QMNIST/raw/` (torchvision's) in `dir`, or from `dir` itself: the
    /// first of these folders that has all four.
    ///
    /// The files have their original names, such as `qmnist-train-images-idx3-ubyte` and
    /// `qmnist-train-labels-idx2-int`. They may be packed (`.gz`). Pixels are divided by 255.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] with the folders that were searched. [`Error::InFile`] if a file is not an intact
    /// IDX file, if images are not bytes `(N, 28, 28)` or labels not `i32` `(N, 8)`, if a class is not from 0
    /// to 9, if there are not as many labels as images, or if there is no memory for the images.
    pub fn load(dir: impl AsRef<Path>) -> Result<Self> {
        Self::load_with(dir, LoadOptions::default())
    }

    /// [`Qmnist::load`] with options.
    ///
    /// # Errors
    ///
    /// As [`Qmnist::load`].
    pub fn load_with(dir: impl AsRef<Path>, options: LoadOptions) -> Result<Self> {
        let files = QMNIST.find(dir.as_ref(), &NAMES)?;
        let (train, train_labels) = load_part(&files.train_images, &files.train_labels, options)?;
        let (test, test_labels) = load_part(&files.test_images, &files.test_labels, options)?;
        Ok(Qmnist {
            train,
            test,
            train_labels,
            test_labels,
        })
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

    /// The whole labels of the training images `(N)`.
    #[must_use]
    pub fn train_labels(&self) -> &[QmnistLabel] {
        &self.train_labels
    }

    /// The whole labels of the test images `(N)`.
    #[must_use]
    pub fn test_labels(&self) -> &[QmnistLabel] {
        &self.test_labels
    }

    /// Returns `(train, test)`.
    #[must_use]
    pub fn into_parts(self) -> (Dataset, Dataset) {
        (self.train, self.test)
    }
}

/// The images, and the whole labels `(N)` in `file`.
fn load_part(
    images: &Path,
    file: &Path,
    options: LoadOptions,
) -> Result<(Dataset, Vec<QmnistLabel>)> {
    let labels = read_labels(file).map_err(|problem| problem.in_file(file))?;
    let classes = labels.iter().map(|label| label.class).collect();
    let images = mnist_format::read_images(images, PixelOrder::Rows, options)?;
    let data = mnist_format::dataset(images, classes, CLASSES, file)?;
    Ok((data, labels))
}

/// (N)
fn read_labels(file: &Path) -> Result<Vec<QmnistLabel>> {
    let columns: ArrayD<i32> = Idx::open(file)?.try_into()?;
    let got = columns.shape().to_vec();
    let columns = match columns.into_dimensionality::<Ix2>() {
        Ok(columns) if columns.ncols() == COLUMNS => columns, // (N, 8)
        _ => {
            return Err(Error::ShapeMismatch {
                op: "QMNIST's labels",
                expected: format!("(N, {COLUMNS})"),
                got,
            });
        }
    };
    let rows = columns.axis_iter(Axis(0)).enumerate();
    rows.map(|(index, row)| {
        let class = usize::try_from(row[0])
            .ok()
            .filter(|&class| class < CLASSES);
        Ok(QmnistLabel {
            class: class.ok_or(Error::UnknownLabel {
                dataset: QMNIST.name,
                index,
                label: row[0].into(),
                first: 0,
                last: 9,
            })?,
            series: row[1],
            writer: row[2],
            index_of_writer: row[3],
            nist_class: row[4],
            nist_index: row[5],
            duplicate: row[6],
            unused: row[7],
        })
    })
    .collect()
}
