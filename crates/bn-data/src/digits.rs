//! The UCI digits, which are embedded in the crate.

use std::io::Read;

use flate2::read::GzDecoder;
use ndarray::Array2;

use crate::{
    dataset::Dataset,
    error::{Error, Result},
};

/// One line for each image: its 64 pixels and then its label.
const CSV_GZ: &[u8] = include_bytes!("../data/digits.csv.gz");
const SIDE: usize = 8;
const CLASSES: usize = 10;
/// The first image of the twelfth of fourteen forms.
const TRAIN: usize = 1415;

/// The optical digits of the UCI repository: 1,797 handwritten digits of 8 x 8 pixels, embedded in
/// the crate, so an example or a test needs no file and no network.
///
/// By E. Alpaydin and C. Kaynak (1998), CC BY 4.0,
/// <https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits>; the test part of that data set, as scikit-learn ships it
/// (`load_digits`). Pixels are counts from 0 to 16, which are divided by 16 here.
///
/// **The split is by writer.** The images are in the order in which 13 people filled in forms: the
/// labels repeat one sequence of about 130 digits fourteen times. A random split would test on the
/// handwriting that it trained on; this one trains on the first 1,415 images (eleven forms) and tests
/// on the last 382 (three forms). The ends of the forms are inferred from the labels, because the data
/// set does not name the writers. To mix the writers, use [`Digits::all`] with
/// [`Dataset::split_validation`].
///
/// ```
/// use bn_data::Digits;
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let digits = Digits::load()?;
/// assert_eq!(digits.train().images_4d().dim(), (1415, 8, 8, 1));
/// assert_eq!(digits.test().images().dim(), (382, 64));
/// assert_eq!(digits.train().labels()[..4], [0, 1, 2, 3]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Digits {
    all: Dataset,
    train: Dataset,
    test: Dataset,
}

impl Digits {
    /// Unpacks the digits.
    ///
    /// # Errors
    ///
    /// [`Error::Gzip`], [`Error::Setting`] and others, but only if the embedded data are damaged; the
    /// tests of the crate check them.
    pub fn load() -> Result<Self> {
        let mut csv = String::new();
        GzDecoder::new(CSV_GZ)
            .read_to_string(&mut csv)
            .map_err(Error::Gzip)?;
        let all = parse(&csv)?;
        let (first, last): (Vec<usize>, Vec<usize>) = (0..all.len()).partition(|&i| i < TRAIN);
        Ok(Digits {
            train: all.select(&first)?,
            test: all.select(&last)?,
            all,
        })
    }

    /// The first 1,415 images, for training.
    #[must_use]
    pub fn train(&self) -> &Dataset {
        &self.train
    }

    /// The last 382 images, for tests.
    #[must_use]
    pub fn test(&self) -> &Dataset {
        &self.test
    }

    /// All 1,797 images, in the file's order.
    #[must_use]
    pub fn all(&self) -> &Dataset {
        &self.all
    }

    /// Returns `(train, test)`.
    #[must_use]
    pub fn into_parts(self) -> (Dataset, Dataset) {
        (self.train, self.test)
    }
}

fn parse(csv: &str) -> Result<Dataset> {
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for line in csv.lines() {
        let numbers: Vec<u8> = line
            .split(',')
            .map(|number| number.parse().map_err(|_| damaged(line)))
            .collect::<Result<_>>()?;
        let [image @ .., label] = numbers.as_slice() else {
            return Err(damaged(line));
        };
        pixels.extend(image.iter().map(|&x| f32::from(x) / 16.0));
        labels.push(usize::from(*label));
    }
    let images =
        Array2::from_shape_vec((labels.len(), SIDE * SIDE), pixels).map_err(|_| damaged(csv))?;
    Dataset::new(images, labels, (SIDE, SIDE, 1), CLASSES)
}

fn damaged(line: &str) -> Error {
    Error::Setting {
        what: "a line of the embedded digits",
        value: line.chars().take(80).collect(),
        must_be: "64 pixels and a label".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_whole() {
        let digits = Digits::load().unwrap();
        let all = digits.all();
        assert_eq!(
            (all.len(), all.height(), all.width(), all.channels()),
            (1797, 8, 8, 1)
        );
        // The counts that scikit-learn gives: np.bincount(load_digits().target).
        let mut counts = [0; CLASSES];
        all.labels().iter().for_each(|&label| counts[label] += 1);
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        // load_digits().data.sum() is 561718.
        let sum: f64 = all.images().iter().map(|&x| f64::from(x) * 16.0).sum();
        assert_eq!(sum, 561_718.0);
        assert!(all.images().iter().all(|x| (0.0..=1.0).contains(x)));
    }

    #[test]
    fn the_test_part_begins_with_a_form() {
        let digits = Digits::load().unwrap();
        let start = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert!(digits.train().labels().starts_with(&start));
        assert!(digits.test().labels().starts_with(&start));
        assert_eq!(digits.train().len() + digits.test().len(), 1797);
    }

    #[test]
    fn damaged_lines_are_errors() {
        assert!(matches!(parse("1,2,x"), Err(Error::Setting { .. })));
        assert!(matches!(parse("1,2,3"), Err(Error::Setting { .. })));
        assert!(matches!(parse("\n"), Err(Error::Setting { .. })));
    }
}
