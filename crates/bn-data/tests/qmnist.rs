//! Loading QMNIST from folders.

use std::fs;
use std::path::Path;

use bn_data::{Error, Idx, LoadOptions, Qmnist, QmnistLabel};
use ndarray::{Array2, Array3, ArrayD, arr2};

const NAMES: [&str; 4] = [
    "qmnist-train-images-idx3-ubyte",
    "qmnist-train-labels-idx2-int",
    "qmnist-test-images-idx3-ubyte",
    "qmnist-test-labels-idx2-int",
];

/// The first rows of the published training labels.
const ROWS: [[i32; 8]; 2] = [
    [5, 4, 2154, 59, 35, 229_421, 0, 0],
    [0, 0, 0, 0, 30, 0, 0, 0],
];

fn images(n: usize) -> Idx {
    Array3::from_shape_fn((n, 28, 28), |(i, h, w)| (i + 28 * h + w) as u8)
        .into_dyn()
        .into()
}

fn labels(rows: &[[i32; 8]]) -> Idx {
    arr2(rows).into_dyn().into()
}

/// Writes two training images and one test image.
fn write_files(folder: &Path, rename: impl Fn(&str) -> String) {
    fs::create_dir_all(folder).unwrap();
    let test_labels = labels(&[[7, 4, 2578, 69, 37, 279_260, 8, 9]]);
    let arrays = [images(2), labels(&ROWS), images(1), test_labels];
    for (name, array) in NAMES.into_iter().zip(arrays) {
        array.save(folder.join(rename(name))).unwrap();
    }
}

#[test]
fn images_and_all_columns_of_the_labels_are_loaded() {
    let renamings: [fn(&str) -> String; 4] = [
        |name| name.to_owned(),
        |name| format!("{name}.gz"),
        |name| name.replace("-idx", ".idx"),
        |name| name.replace("-idx", ".idx") + ".gz",
    ];
    for rename in renamings {
        let folder = tempfile::tempdir().unwrap();
        write_files(folder.path(), rename);
        let qmnist = Qmnist::load(folder.path()).unwrap();
        assert_eq!(qmnist.train().labels(), [5, 0]);
        assert_eq!(qmnist.test().labels(), [7]);
        assert_eq!(qmnist.train().classes(), 10);
        for ((i, h, w, _), &pixel) in qmnist.train().images_4d().indexed_iter() {
            assert_eq!(pixel, f32::from((i + 28 * h + w) as u8) / 255.0);
        }
        let classes = qmnist.train_labels().iter().map(|label| label.class);
        assert!(classes.eq([5, 0]));
        let expected = QmnistLabel {
            class: 7,
            series: 4,
            writer: 2578,
            index_of_writer: 69,
            nist_class: 37,
            nist_index: 279_260,
            duplicate: 8,
            unused: 9,
        };
        assert_eq!(qmnist.test_labels(), [expected]);
    }
}

#[test]
fn the_known_sub_folders_are_searched() {
    for sub_folder in ["qmnist", "QMNIST/raw"] {
        let folder = tempfile::tempdir().unwrap();
        write_files(&folder.path().join(sub_folder), str::to_owned);
        let raw = LoadOptions::default().normalize(false);
        let (train, test) = Qmnist::load_with(folder.path(), raw).unwrap().into_parts();
        assert_eq!((train.len(), test.len()), (2, 1));
        assert_eq!(train.images()[[1, 30]], 31.0);

        fs::remove_file(folder.path().join(sub_folder).join(NAMES[1])).unwrap();
        let message = Qmnist::load(folder.path()).unwrap_err().to_string();
        for part in [
            "QMNIST was not found",
            "(lacks qmnist-train-labels-idx2-int)",
            "https://github.com/facebookresearch/qmnist",
        ] {
            assert!(message.contains(part), "{part} is not in: {message}");
        }
    }
}

/// Replaces one file and returns the error, which must name the file.
fn load_with_file(index: usize, array: impl Into<Idx>) -> Error {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), str::to_owned);
    let path = folder.path().join(NAMES[index]);
    array.into().save(&path).unwrap();
    match Qmnist::load(folder.path()).unwrap_err() {
        Error::InFile { file, problem } => {
            assert_eq!(file, path);
            *problem
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn wrong_labels_are_refused() {
    for class in [-1, 10, i32::MIN] {
        let mut rows = ROWS;
        rows[1][0] = class;
        match load_with_file(1, labels(&rows)) {
            Error::UnknownLabel { index, label, .. } => {
                assert_eq!((index, label), (1, class.into()));
            }
            other => panic!("{other:?}"),
        }
    }
    for shape in [vec![2, 7], vec![2, 9], vec![2], vec![8, 2], vec![]] {
        let error = load_with_file(1, ArrayD::<i32>::zeros(shape));
        assert!(matches!(error, Error::ShapeMismatch { .. }), "{error:?}");
    }
    // Those of MNIST.
    let error = load_with_file(3, ArrayD::<u8>::zeros(vec![1]));
    assert!(
        matches!(
            error,
            Error::ElementType {
                expected: "i32",
                got: "u8"
            }
        ),
        "{error:?}"
    );
    let error = load_with_file(1, Array2::<i32>::zeros((3, 8)).into_dyn());
    assert!(
        matches!(
            error,
            Error::CountMismatch {
                images: 2,
                labels: 3
            }
        ),
        "{error:?}"
    );
}

#[test]
fn wrong_images_are_refused() {
    let error = load_with_file(0, ArrayD::<u8>::zeros(vec![2, 784]));
    assert!(matches!(error, Error::ShapeMismatch { .. }), "{error:?}");
    let error = load_with_file(2, ArrayD::<i32>::zeros(vec![1, 28, 28]));
    assert!(matches!(error, Error::ElementType { .. }), "{error:?}");
}

#[test]
fn damaged_label_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), str::to_owned);
    let path = folder.path().join(NAMES[1]);
    let bytes = fs::read(&path).unwrap();
    // Truncated, and a header that promises 2^32 - 1 rows.
    let mut promising = bytes.clone();
    promising[4..8].fill(0xff);
    for damaged in [&bytes[..bytes.len() - 1], &promising] {
        fs::write(&path, damaged).unwrap();
        let message = Qmnist::load(folder.path()).unwrap_err().to_string();
        let expected = format!("{}: truncated", path.display());
        assert!(message.starts_with(&expected), "{message}");
    }
}
