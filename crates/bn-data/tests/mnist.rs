//! Loading MNIST, Fashion-MNIST and KMNIST from folders.

use std::fs;
use std::path::Path;

use bn_data::{Dataset, Error, FashionMnist, Idx, Kmnist, LoadOptions, Mnist};
use ndarray::{Array1, Array3, ArrayD};

const NAMES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// N images whose pixels count upwards.
fn images(n: usize) -> ArrayD<u8> {
    Array3::from_shape_fn((n, 28, 28), |(i, h, w)| (i + 28 * h + w) as u8).into_dyn()
}

fn labels(n: usize) -> ArrayD<u8> {
    Array1::from_shape_fn(n, |i| (i % 10) as u8).into_dyn()
}

/// Writes three training images and two test images, under names that `rename` makes.
fn write_files(folder: &Path, rename: impl Fn(&str) -> String) {
    fs::create_dir_all(folder).unwrap();
    let arrays = [images(3), labels(3), images(2), labels(2)];
    for (name, array) in NAMES.into_iter().zip(arrays) {
        Idx::from(array).save(folder.join(rename(name))).unwrap();
    }
}

fn check(train: &Dataset, test: &Dataset) {
    assert_eq!((train.len(), test.len()), (3, 2));
    assert_eq!(train.labels(), [0, 1, 2]);
    let expected = images(3);
    for (i, h, w) in [(0, 0, 0), (1, 3, 4), (2, 27, 27)] {
        let pixel = train.images_4d()[[i, h, w, 0]];
        assert_eq!(pixel, f32::from(expected[[i, h, w]]) / 255.0);
        assert_eq!(train.images()[[i, 28 * h + w]], pixel);
    }
}

#[test]
fn every_way_to_name_the_files_is_known() {
    let renamings: [fn(&str) -> String; 4] = [
        |name| name.to_owned(),
        |name| format!("{name}.gz"),
        |name| name.replace("-idx", ".idx"),
        |name| name.replace("-idx", ".idx") + ".gz",
    ];
    for rename in renamings {
        let folder = tempfile::tempdir().unwrap();
        write_files(folder.path(), rename);
        let (train, test) = Mnist::load(folder.path()).unwrap().into_parts();
        check(&train, &test);
    }
    assert_eq!(renamings[2](NAMES[0]), "train-images.idx3-ubyte");
}

#[test]
fn the_known_sub_folders_are_searched() {
    for sub_folder in ["mnist", "MNIST/raw"] {
        let folder = tempfile::tempdir().unwrap();
        write_files(&folder.path().join(sub_folder), str::to_owned);
        let (train, test) = Mnist::load(folder.path()).unwrap().into_parts();
        check(&train, &test);
        assert!(matches!(
            FashionMnist::load(folder.path()),
            Err(Error::NotFound { .. })
        ));
    }
    for sub_folder in ["fashion-mnist", "FashionMNIST/raw"] {
        let folder = tempfile::tempdir().unwrap();
        write_files(&folder.path().join(sub_folder), str::to_owned);
        assert_eq!(FashionMnist::load(folder.path()).unwrap().train().len(), 3);
        assert!(matches!(
            Mnist::load(folder.path()),
            Err(Error::NotFound { .. })
        ));
    }
    for sub_folder in ["kmnist", "KMNIST/raw"] {
        let folder = tempfile::tempdir().unwrap();
        write_files(&folder.path().join(sub_folder), |name| format!("{name}.gz"));
        let (train, test) = Kmnist::load(folder.path()).unwrap().into_parts();
        check(&train, &test);
        let message = Mnist::load(folder.path()).unwrap_err().to_string();
        assert!(message.contains("https://ossci-datasets"), "{message}");
        fs::remove_dir_all(folder.path().join(sub_folder)).unwrap();
        let message = Kmnist::load(folder.path()).unwrap_err().to_string();
        assert!(
            message.contains("http://codh.rois.ac.jp/kmnist/"),
            "{message}"
        );
    }
}

#[test]
fn absent_files_are_named_with_the_folders_and_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), str::to_owned);
    fs::remove_file(folder.path().join(NAMES[1])).unwrap();
    fs::remove_file(folder.path().join(NAMES[2])).unwrap();
    let error = Mnist::load(folder.path()).unwrap_err();
    assert!(matches!(
        error,
        Error::NotFound {
            dataset: "MNIST",
            ..
        }
    ));
    let message = error.to_string();
    let dir = folder.path();
    for part in [
        &format!("{} (lacks {}, {})", dir.display(), NAMES[1], NAMES[2]),
        &format!("{} (no such folder)", dir.join("mnist").display()),
        &format!("{} (no such folder)", dir.join("MNIST/raw").display()),
        "into one of these folders",
    ] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    // A library has no options.
    assert!(!message.contains("--"), "{message}");
}

#[test]
fn pixels_may_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), str::to_owned);
    let raw = LoadOptions::default().normalize(false);
    let mnist = Mnist::load_with(folder.path(), raw).unwrap();
    let expected = images(3).mapv(f32::from);
    assert!(mnist.train().images().iter().eq(expected.iter()));
}

/// Replaces one file and returns the error, which must name the file.
fn load_with_file(index: usize, array: impl Into<Idx>) -> Error {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), str::to_owned);
    let path = folder.path().join(NAMES[index]);
    array.into().save(&path).unwrap();
    match Mnist::load(folder.path()).unwrap_err() {
        Error::InFile { file, problem } => {
            assert_eq!(file, path);
            *problem
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn wrong_files_are_refused_by_name() {
    let thirty = Array3::<u8>::zeros((3, 30, 28)).into_dyn();
    assert!(matches!(
        load_with_file(0, thirty),
        Error::ShapeMismatch { .. }
    ));
    let flat = ArrayD::<u8>::zeros(vec![3, 784]);
    assert!(matches!(
        load_with_file(2, flat),
        Error::ShapeMismatch { .. }
    ));
    let floats = ArrayD::<f32>::zeros(vec![3, 28, 28]);
    assert!(matches!(
        load_with_file(0, floats),
        Error::ElementType { got: "f32", .. }
    ));

    let ten = Array1::from(vec![0u8, 10, 2]).into_dyn();
    let error = load_with_file(1, ten);
    assert!(matches!(
        error,
        Error::LabelOutOfRange {
            index: 1,
            label: 10,
            classes: 10
        }
    ));
    let column = ArrayD::<u8>::zeros(vec![3, 1]);
    assert!(matches!(
        load_with_file(1, column),
        Error::ShapeMismatch { .. }
    ));
    assert!(matches!(
        load_with_file(3, labels(1)),
        Error::CountMismatch { .. }
    ));
}

#[test]
fn a_truncated_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), str::to_owned);
    let path = folder.path().join(NAMES[2]);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..1000]).unwrap();
    let message = Mnist::load(folder.path()).unwrap_err().to_string();
    let expected = format!(
        "{}: truncated: 1584 bytes are needed, 1000 are there",
        path.display()
    );
    assert!(message.starts_with(&expected), "{message}");
    // The file is named only once.
    assert_eq!(message.matches("t10k").count(), 1, "{message}");
}

#[test]
fn one_data_set_is_not_taken_for_the_other() {
    // The first labels of the published training sets.
    let first = [
        ("MNIST", [5u8, 0, 4, 1, 9, 2, 1, 3, 1, 4, 3]),
        ("Fashion-MNIST", [9, 0, 0, 3, 0, 2, 7, 2, 5, 5, 0]),
        ("KMNIST", [8, 7, 0, 1, 4, 2, 4, 8, 1, 1, 5]),
    ];
    for (from, labels) in first {
        let folder = tempfile::tempdir().unwrap();
        write_files(folder.path(), str::to_owned);
        let save = |name, array| Idx::from(array).save(folder.path().join(name)).unwrap();
        save(NAMES[0], images(11));
        save(NAMES[1], Array1::from(labels.to_vec()).into_dyn());
        let loaded = [
            ("MNIST", Mnist::load(folder.path()).map(Mnist::into_parts)),
            (
                "Fashion-MNIST",
                FashionMnist::load(folder.path()).map(FashionMnist::into_parts),
            ),
            (
                "KMNIST",
                Kmnist::load(folder.path()).map(Kmnist::into_parts),
            ),
        ];
        for (name, result) in loaded {
            let Err(error) = result else {
                assert_eq!(name, from);
                continue;
            };
            let message = error.to_string();
            let expected = format!("these are the labels of {from}, not of {name};");
            assert!(message.contains(&expected), "{message}");
        }
    }
}

#[test]
fn the_real_mnist_is_as_known() {
    let Some(dir) = bn_data::data_dir(None) else {
        println!("skipped: BN_DATA_DIR names no folder with MNIST");
        return;
    };
    let (train, test) = Mnist::load(dir).unwrap().into_parts();
    assert_eq!(train.images_4d().dim(), (60_000, 28, 28, 1));
    assert_eq!(test.images().dim(), (10_000, 784));
    assert_eq!(train.labels()[..10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    assert_eq!(test.labels()[..5], [7, 2, 1, 0, 4]);
    let mut counts = [0; 10];
    train.labels().iter().for_each(|&label| counts[label] += 1);
    assert_eq!(
        counts,
        [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    );
    // The well-known mean and standard deviation of all pixels, 0.1307 and 0.3081.
    let n = train.images().len() as f64;
    let mean = train.images().iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let square = |&x: &f32| (f64::from(x) - mean).powi(2);
    let std = (train.images().iter().map(square).sum::<f64>() / n).sqrt();
    assert!(
        (mean - 0.1307).abs() < 5e-5 && (std - 0.3081).abs() < 5e-5,
        "{mean} {std}"
    );
}
