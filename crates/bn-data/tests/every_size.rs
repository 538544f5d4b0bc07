//! Sizes of every magnitude give an error or a result, never a panic or an abort.

use crate::memory_limit::with_little_memory;
use bn_data::{
    Batches, Dataset, Error, LastBatch, Sampling, Standardize, Whitening, WhiteningKind,
};
use ndarray::Array2;

const SIZES: [usize; 6] = [0, 1, 2, 1 << 31, (1 << 62) + 1, usize::MAX];

/// Two images of six pixels, of so many classes.
fn data(shape: (usize, usize, usize), classes: usize) -> Result<Dataset, Error> {
    Dataset::new(Array2::ones((2, 6)), vec![0, 0], shape, classes)
}

#[test]
fn data_sets_of_every_shape() {
    with_little_memory("every_size::data_sets_of_every_shape", || {
        for [a, b, classes] in triples() {
            // As many pixels as the images have, none, and any number of an empty data set.
            let columns = a.checked_mul(b).unwrap_or(0);
            let empty = Array2::zeros((0, columns.min(1 << 40)));
            for data in [
                data((a, b, 6), classes),
                Dataset::new(Array2::zeros((2, 0)), vec![0, 0], (a, b, 0), classes),
                Dataset::new(empty, Vec::new(), (a, b, 1), classes),
            ] {
                let Ok(data) = data else { continue };
                assert_eq!(data.images_4d().dim().0, data.len());
                let one_hot = data.one_hot();
                assert!(one_hot.is_ok() || classes > 2, "{classes} classes");
            }
        }
    });
}

fn triples() -> impl Iterator<Item = [usize; 3]> {
    let pairs = SIZES
        .iter()
        .flat_map(|&a| SIZES.iter().map(move |&b| (a, b)));
    pairs.flat_map(|(a, b)| SIZES.iter().map(move |&c| [a, b, c]))
}

#[test]
fn one_hot_of_more_classes_than_memory_holds() {
    let error = data((1, 1, 6), 1 << 60).unwrap().one_hot().unwrap_err();
    assert!(
        error.to_string().contains("more than can be allocated"),
        "{error}"
    );
}

#[test]
fn a_shape_of_no_values_with_sizes_that_overflow() {
    let images = Array2::<f32>::zeros((2, 0));
    let error = Dataset::new(images, vec![0, 0], (usize::MAX, 0, 1), 1);
    assert!(
        matches!(error, Err(Error::ShapeMismatch { .. })),
        "{error:?}"
    );
}

#[test]
fn labels_of_every_size() {
    for label in SIZES {
        let data = Dataset::from_arrays(Array2::<f32>::zeros((2, 0)), [0, label]);
        assert_eq!(data.is_ok(), label < usize::MAX);
        let data = Dataset::<f64>::from_rows([([], label)]);
        assert_eq!(data.is_ok(), label < usize::MAX);
    }
}

#[test]
fn parts_of_every_size() {
    let data = data((1, 1, 6), 1).unwrap();
    for size in SIZES {
        let _ = data.chunks(size).map(Iterator::count);
        let _ = data.take(size).len();
        let _ = data.select(&[size]).map(|data| data.len());
        let _ = data.split_validation_count(size, 1);
        let _ = data.split_validation(size as f64, 1);
        let _ = data.split_stratified(size as f64, 1);
        let _ = data.select_classes(&[size]);
        for sampling in [
            Sampling::Permutation(LastBatch::Keep),
            Sampling::Permutation(LastBatch::Drop),
            Sampling::Permutation(LastBatch::Merge),
            Sampling::WithReplacement,
            Sampling::Balanced,
        ] {
            let Ok(mut batches) = Batches::with_sampling(&data, size, sampling, u64::MAX) else {
                continue;
            };
            for position in SIZES {
                let mut state = batches.state();
                (state.position, state.epoch) = (position, u64::MAX);
                let _ = batches.restore(state);
                while batches.next_batch().is_some() {}
            }
        }
    }
}

#[test]
fn images_of_every_width() {
    with_little_memory("every_size::images_of_every_width", || {
        for (rows, columns) in [(0, 0), (5, 0), (0, 1 << 60), (1, 1 << 20)] {
            let images = Array2::<f32>::zeros((rows, columns));
            let fitted = Standardize::fit(images.view());
            assert_eq!(fitted.is_ok(), rows > 0);
            for components in SIZES {
                let kind = WhiteningKind::Pca { components };
                assert!(Whitening::fit(images.view(), kind, 0.0).is_err());
            }
            // A matrix of 2^20 columns and rows in double precision takes 8 TiB.
            assert!(Whitening::fit(images.view(), WhiteningKind::Zca, 0.0).is_err());
        }
    });
}

#[test]
fn images_without_pixels_are_refused() {
    let images = Array2::<f32>::zeros((5, 0));
    let error = Whitening::fit(images.view(), WhiteningKind::Zca, 0.0).unwrap_err();
    assert!(matches!(error, Error::ShapeMismatch { .. }), "{error}");
    assert!(error.to_string().contains("at least one column"), "{error}");
}
