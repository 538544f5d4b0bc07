//! Loading EMNIST from folders.

use std::fs;
use std::path::Path;

use bn_data::{Emnist, EmnistSplit, Error, Idx, LoadOptions};
use ndarray::{Array1, Array3, ArrayD};

/// Pixel (h, w) of image i, upright; not the same when mirrored, turned or transposed.
fn upright(i: usize, h: usize, w: usize) -> u8 {
    (i + 7 * h + 2 * w) as u8
}

/// N images as in the files: column after column.
fn images(n: usize) -> ArrayD<u8> {
    Array3::from_shape_fn((n, 28, 28), |(i, w, h)| upright(i, h, w)).into_dyn()
}

fn labels(labels: &[u8]) -> ArrayD<u8> {
    Array1::from(labels.to_vec()).into_dyn()
}

/// The first label in the files, one in the middle, the last.
fn labels_of(split: EmnistSplit) -> [u8; 3] {
    match split {
        EmnistSplit::ByClass => [0, 36, 61],
        EmnistSplit::ByMerge | EmnistSplit::Balanced => [0, 36, 46],
        EmnistSplit::Letters => [1, 13, 26],
        EmnistSplit::Digits | EmnistSplit::Mnist => [0, 5, 9],
    }
}

/// The names of the files of training images, training labels, test images and test labels.
fn names(split: EmnistSplit) -> [String; 4] {
    let (split, images, labels) = (split.name(), "images-idx3-ubyte", "labels-idx1-ubyte");
    [
        format!("emnist-{split}-train-{images}"),
        format!("emnist-{split}-train-{labels}"),
        format!("emnist-{split}-test-{images}"),
        format!("emnist-{split}-test-{labels}"),
    ]
}

/// Writes three training images and one test image.
fn write_files(folder: &Path, split: EmnistSplit, suffix: &str) {
    fs::create_dir_all(folder).unwrap();
    let [first, middle, last] = labels_of(split);
    let train_labels = labels(&[first, middle, last]);
    let arrays = [images(3), train_labels, images(1), labels(&[last])];
    for (name, array) in names(split).into_iter().zip(arrays) {
        let path = folder.join(name + suffix);
        Idx::from(array).save(path).unwrap();
    }
}

#[test]
fn every_split_is_upright_and_its_labels_begin_at_0() {
    for (split, suffix) in EmnistSplit::ALL.into_iter().zip(["", ".gz"].repeat(3)) {
        let folder = tempfile::tempdir().unwrap();
        write_files(folder.path(), split, suffix);
        let emnist = Emnist::load(folder.path(), split).unwrap();
        assert_eq!(emnist.split(), split);
        let (train, test) = (emnist.train(), emnist.test());
        for ((i, h, w, _), &pixel) in train.images_4d().indexed_iter() {
            let expected = f32::from(upright(i, h, w)) / 255.0;
            assert_eq!(pixel, expected, "{split:?} {i} {h} {w}");
        }
        assert_eq!(train.images_4d().dim(), (3, 28, 28, 1));
        assert_eq!(test.images_4d()[[0, 20, 3, 0]], 146.0 / 255.0);

        let last = emnist.class_names().len() - 1;
        let [first_in_file, middle_in_file, _] = labels_of(split);
        let middle = usize::from(middle_in_file - first_in_file);
        assert_eq!(train.labels(), [0, middle, last], "{split:?}");
        assert_eq!(test.labels(), [last]);
        assert_eq!(train.classes(), last + 1);
    }
}

#[test]
fn classes_have_the_names_of_the_official_mappings() {
    // The codes of labels 36 to 46 in emnist-balanced-mapping.txt and emnist-bymerge-mapping.txt.
    let small = [97u8, 98, 100, 101, 102, 103, 104, 110, 113, 114, 116];
    let names = |codes: Vec<u8>| codes.into_iter().map(|code| char::from(code).to_string());
    let digits_and_capitals = || (b'0'..=b'9').chain(b'A'..=b'Z');
    let merged = names(digits_and_capitals().chain(small).collect());
    let merged: Vec<String> = merged.collect();
    assert_eq!(EmnistSplit::ByMerge.class_names(), merged);
    assert_eq!(EmnistSplit::Balanced.class_names(), merged);
    let all = names(digits_and_capitals().chain(b'a'..=b'z').collect());
    assert!(all.eq(EmnistSplit::ByClass.class_names().iter().copied()));
    let capitals = names((b'A'..=b'Z').collect());
    assert!(capitals.eq(EmnistSplit::Letters.class_names().iter().copied()));
    for split in [EmnistSplit::Digits, EmnistSplit::Mnist] {
        assert!(names((b'0'..=b'9').collect()).eq(split.class_names().iter().copied()));
    }
}

#[test]
fn the_known_sub_folders_are_searched() {
    let split = EmnistSplit::Digits;
    for sub_folder in ["emnist", "emnist/gzip", "EMNIST/raw", "gzip", "."] {
        let folder = tempfile::tempdir().unwrap();
        write_files(&folder.path().join(sub_folder), split, ".gz");
        assert_eq!(Emnist::load(folder.path(), split).unwrap().train().len(), 3);

        // Another split has other files.
        let error = Emnist::load(folder.path(), EmnistSplit::Mnist).unwrap_err();
        assert!(matches!(
            error,
            Error::NotFound {
                dataset: "EMNIST",
                ..
            }
        ));
        let message = error.to_string();
        for part in [
            "lacks emnist-mnist-train-images-idx3-ubyte",
            "https://www.nist.gov/itl/products-and-services/emnist-dataset",
        ] {
            assert!(message.contains(part), "{part} is not in: {message}");
        }
    }
}

#[test]
fn pixels_may_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), EmnistSplit::Letters, "");
    let raw = LoadOptions::default().normalize(false);
    let emnist = Emnist::load_with(folder.path(), EmnistSplit::Letters, raw).unwrap();
    assert_eq!(emnist.train().images_4d()[[1, 20, 3, 0]], 147.0);
}

/// Replaces one file of the split and returns the error, which must name the file.
fn load_with_file(split: EmnistSplit, index: usize, array: ArrayD<u8>) -> Error {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), split, "");
    let path = folder.path().join(&names(split)[index]);
    Idx::from(array).save(&path).unwrap();
    match Emnist::load(folder.path(), split).unwrap_err() {
        Error::InFile { file, problem } => {
            assert_eq!(file, path);
            *problem
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn labels_that_the_split_does_not_have_are_refused() {
    for (split, list, index) in [
        (EmnistSplit::Letters, [1, 0, 26], 1),
        (EmnistSplit::Letters, [1, 26, 27], 2),
        (EmnistSplit::Digits, [10, 0, 9], 0),
        (EmnistSplit::Balanced, [0, 47, 46], 1),
        (EmnistSplit::ByClass, [61, 62, 0], 1),
    ] {
        let wrong = i64::from(list[index]);
        match load_with_file(split, 1, labels(&list)) {
            Error::UnknownLabel {
                index: at, label, ..
            } => assert_eq!((at, label), (index, wrong)),
            other => panic!("{split:?}: {other:?}"),
        }
    }
    let message = load_with_file(EmnistSplit::Letters, 3, labels(&[0])).to_string();
    let expected = "label 0 at position 0 is not from 1 to 26, as in EMNIST letters";
    assert_eq!(message, expected);
}

#[test]
fn one_split_is_not_taken_for_another() {
    // As many training labels as the published files have, from the first to the last class.
    let published = [
        (EmnistSplit::ByClass, 697_932, 0..=61, "EMNIST byclass"),
        (EmnistSplit::ByMerge, 697_932, 0..=46, "EMNIST bymerge"),
        (EmnistSplit::Balanced, 112_800, 0..=46, "EMNIST balanced"),
        (EmnistSplit::Letters, 124_800, 1..=26, "EMNIST letters"),
        (EmnistSplit::Digits, 240_000, 0..=9, "EMNIST digits"),
        (EmnistSplit::Mnist, 60_000, 0..=9, "EMNIST mnist"),
    ];
    for (from, n, range, name) in published {
        let all: Vec<u8> = range.cycle().take(n).collect();
        for split in EmnistSplit::ALL {
            match load_with_file(split, 1, labels(&all)) {
                Error::OtherDataset { got, .. } if split != from => assert_eq!(got, name),
                Error::CountMismatch { images: 3, .. } if split == from => {}
                other => panic!("{from:?} as {split:?}: {other:?}"),
            }
        }
    }
}

#[test]
fn wrong_files_are_refused_by_name() {
    let split = EmnistSplit::Balanced;
    for shape in [vec![3, 28, 30], vec![3, 784], vec![]] {
        let error = load_with_file(split, 0, ArrayD::zeros(shape));
        assert!(matches!(error, Error::ShapeMismatch { .. }), "{error:?}");
    }
    let error = load_with_file(split, 1, ArrayD::zeros(vec![3, 1]));
    assert!(matches!(error, Error::ShapeMismatch { .. }), "{error:?}");
    let error = load_with_file(split, 3, labels(&[1, 2]));
    assert!(
        matches!(
            error,
            Error::CountMismatch {
                images: 1,
                labels: 2
            }
        ),
        "{error:?}"
    );
}

#[test]
fn truncated_files_are_refused() {
    for (suffix, length) in [("", 799), (".gz", 100)] {
        let folder = tempfile::tempdir().unwrap();
        write_files(folder.path(), EmnistSplit::Mnist, suffix);
        let path = folder
            .path()
            .join(names(EmnistSplit::Mnist)[2].clone() + suffix);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..length]).unwrap();
        match Emnist::load(folder.path(), EmnistSplit::Mnist).unwrap_err() {
            Error::InFile { file, problem } => {
                assert_eq!(file, path);
                let truncated = matches!(*problem, Error::Truncated { .. } | Error::Gzip(_));
                assert!(truncated, "{problem:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}
