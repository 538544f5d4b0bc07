//! Loading Kuzushiji-49 from folders.

use std::fs;
use std::path::Path;

use bn_data::{Kuzushiji49, LoadOptions, Npy};
use ndarray::{Array1, Array3};

const NAMES: [&str; 4] = [
    "k49-train-imgs.npz",
    "k49-train-labels.npz",
    "k49-test-imgs.npz",
    "k49-test-labels.npz",
];

fn images(n: usize) -> Npy {
    let pixels = Array3::from_shape_fn((n, 28, 28), |(i, h, w)| (i + 28 * h + w) as u8);
    Npy::U8(pixels.into_dyn())
}

fn labels(labels: &[u8]) -> Npy {
    Npy::U8(Array1::from(labels.to_vec()).into_dyn())
}

fn write(folder: &Path, arrays: [Npy; 4]) {
    fs::create_dir_all(folder).unwrap();
    for (name, array) in NAMES.into_iter().zip(&arrays) {
        Npy::save_npz(folder.join(name), [("arr_0", array)]).unwrap();
    }
}

fn arrays() -> [Npy; 4] {
    [images(2), labels(&[48, 0]), images(1), labels(&[7])]
}

#[test]
fn images_and_labels_are_loaded() {
    let folder = tempfile::tempdir().unwrap();
    for sub_folder in ["", "k49", "kuzushiji-49"] {
        write(&folder.path().join(sub_folder), arrays());
        let data = Kuzushiji49::load(folder.path()).unwrap();
        assert_eq!(data.train().labels(), [48, 0]);
        assert_eq!(data.test().labels(), [7]);
        assert_eq!(data.train().classes(), 49);
        for ((i, h, w, _), &pixel) in data.train().images_4d().indexed_iter() {
            assert_eq!(pixel, f32::from((i + 28 * h + w) as u8) / 255.0);
        }
    }
    let raw = Kuzushiji49::load_with(folder.path(), LoadOptions::default().normalize(false));
    assert_eq!(raw.unwrap().test().images_4d()[[0, 2, 3, 0]], 59.0);
    // Each character has its own name.
    let mut names = Kuzushiji49::CLASS_NAMES.to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 49);
}

#[test]
fn what_does_not_fit_is_refused_with_the_name_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let refused = || Kuzushiji49::load(folder.path()).unwrap_err().to_string();
    let message = refused();
    assert!(
        message.contains("lacks k49-train-imgs.npz, k49-train-labels.npz")
            && message.contains("http://codh.rois.ac.jp/kmnist/"),
        "{message}"
    );
    let small = Npy::U8(Array3::zeros((2, 28, 27)).into_dyn());
    let wide = Npy::I64(Array1::zeros(2).into_dyn());
    for (index, array, part) in [
        (0, small, "(N, 28, 28), got [2, 28, 27]"),
        (0, images(3), "2 labels for 3 images"),
        (
            1,
            labels(&[49, 0]),
            "label 49 at position 0 is not below 49",
        ),
        (1, wide, "the elements are i64, not u8"),
        (3, images(1), "a file of labels needs shape (N)"),
    ] {
        let mut all = arrays();
        all[index] = array;
        write(folder.path(), all);
        let message = refused();
        assert!(message.contains(part), "{message}");
        assert!(message.contains("k49-"), "{message}");
    }
    write(folder.path(), arrays());
    Npy::save_npz(folder.path().join(NAMES[2]), [("x", &images(1))]).unwrap();
    let message = refused();
    assert!(
        message.contains("`arr_0`") && message.contains(NAMES[2]),
        "{message}"
    );
}
