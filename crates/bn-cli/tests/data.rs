//! Data of the user's.

use crate::common::{Outcome, folder, refused, run};
use bn_data::{Dataset, Digits, Idx, Npy};
use std::{fmt::Write, path::Path};

/// Digits, their values from 0 to 16.
fn digits() -> Dataset {
    let mut all = Digits::load().unwrap().all().clone();
    all.images_mut().mapv_inplace(|x| 16.0 * x);
    all
}

/// Trains for a few epochs, and checks that the model is evaluated on the rows that were held out.
fn train(at: &Path, options: &str, held_out: usize) -> Outcome {
    let trained = run(at, &format!("train --epochs 8 {options}")).ok();
    let evaluated = run(at, "eval --json").ok().json();
    assert_eq!(evaluated["rows"], held_out, "{options}");
    let accuracy = evaluated["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.9, "{options}: {accuracy}");
    let shown = format!("test accuracy {:.2} %", 100.0 * accuracy);
    assert!(
        trained.stdout.contains(&shown),
        "{shown}: {}",
        trained.stdout
    );
    trained
}

#[test]
fn a_csv_file() {
    let folder = folder();
    let at = folder.path();
    let data = digits();
    let mut text = (0..64).fold(String::new(), |text, i| text + &format!("p{i},")) + "digit\n";
    let mut plain = String::new();
    for (row, label) in data.images().rows().into_iter().zip(data.labels()) {
        for value in row {
            write!(text, "{value},").unwrap();
            write!(plain, "{value},").unwrap();
        }
        writeln!(text, "{label}").unwrap();
        writeln!(plain, "{label}").unwrap();
    }
    std::fs::write(at.join("digits.csv"), text).unwrap();
    std::fs::write(at.join("plain.csv"), plain).unwrap();
    let trained = train(at, "--data digits.csv --label-column digit", 359);
    assert!(
        trained.stdout.contains("1438 rows of 64 values"),
        "{}",
        trained.stdout
    );
    let json = run(at, "inspect --json").ok().json();
    assert_eq!(json["preprocessing"]["mean"], "64 values"); // a table is standardised
    train(
        at,
        "--data plain.csv --no-header --label-column 64 --validation 0.1",
        179,
    );
    let images = "--image-shape 8x8 --max-value 16 --network cnn --hidden 8,16";
    train(
        at,
        &format!("--data plain.csv --no-header --label-column 64 {images}"),
        359,
    );

    // Other data than those of the model: all rows.
    let json = run(at, "eval --json --data digits").ok().json();
    assert_eq!(
        (&json["part"], &json["rows"]),
        (&"test part".into(), &382.into())
    );
}

#[test]
fn an_npz_file() {
    let folder = folder();
    let at = folder.path();
    let data = digits();
    let x = data
        .images()
        .mapv(|x| x as u8)
        .into_shape_with_order((1797, 8, 8))
        .unwrap();
    let x = Npy::U8(x.into_dyn());
    let y = Npy::I64(
        data.labels()
            .iter()
            .map(|&label| label as i64)
            .collect::<ndarray::Array1<_>>()
            .into_dyn(),
    );
    Npy::save_npz(at.join("a.npz"), [("x", &x), ("y", &y)]).unwrap();
    let trained = train(at, "--data a.npz --max-value 16", 359);
    assert!(trained.stdout.contains("1438 images of 8×8"));
    let four = [
        ("x_train", &x),
        ("y_train", &y),
        ("x_test", &x),
        ("y_test", &y),
    ];
    Npy::save_npz(at.join("keras.npz"), four).unwrap();
    train(at, "--data keras.npz", 1797); // as bytes, from 0 to 255
    let y = Npy::F32(ndarray::Array1::zeros(1797).into_dyn());
    Npy::save_npz(at.join("values.npz"), [("x", &x), ("y", &y)]).unwrap();
    refused(at, "train --data values.npz", 3, "whole numbers");
}

#[test]
fn a_pair_of_idx_files() {
    let folder = folder();
    let at = folder.path();
    let data = digits();
    let x = data
        .images()
        .mapv(|x| x as u8)
        .into_shape_with_order((1797, 8, 8))
        .unwrap();
    Idx::from(x.into_dyn())
        .save(at.join("images-idx3-ubyte"))
        .unwrap();
    let y: ndarray::Array1<u8> = data.labels().iter().map(|&label| label as u8).collect();
    Idx::from(y.clone().into_dyn())
        .save(at.join("labels-idx1-ubyte"))
        .unwrap();
    train(
        at,
        "--data ./images-idx3-ubyte --labels labels-idx1-ubyte --max-value 16",
        359,
    );
    refused(at, "train --data ./images-idx3-ubyte", 2, "--labels");
    let fewer = y.slice_axis(ndarray::Axis(0), (0..5).into()).to_owned();
    Idx::from(fewer.into_dyn()).save(at.join("few")).unwrap();
    refused(
        at,
        "train --data ./images-idx3-ubyte --labels few",
        3,
        "5 labels",
    );
}

#[test]
fn a_folder_of_images_by_class() {
    let folder = folder();
    let at = folder.path();
    let (data, names) = (digits(), ["zero", "one", "two"]);
    for (i, (row, &label)) in data
        .images()
        .rows()
        .into_iter()
        .zip(data.labels())
        .enumerate()
    {
        let Some(name) = names.get(label) else {
            continue;
        };
        let bytes = row.iter().map(|&x| (x * 15.0) as u8).collect();
        let class = at.join("set").join(name);
        std::fs::create_dir_all(&class).unwrap();
        let image = image::GrayImage::from_raw(8, 8, bytes).unwrap();
        image.save(class.join(format!("{i}.png"))).unwrap();
    }
    train(at, "--data set --hidden 30", 107);
    let json = run(at, "inspect --json").ok().json();
    assert_eq!(json["classes"].to_string(), r#"["one","two","zero"]"#); // in the order of their names
    let file = at
        .join("set/two")
        .read_dir()
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let predicted = run(at, &format!("predict --json {}", file.display()))
        .ok()
        .json();
    assert_eq!(predicted["images"][0]["class"], "two");
    std::fs::create_dir(at.join("set/empty")).unwrap();
    assert_eq!(run(at, "train --data set").code, 3);
}

#[test]
fn mnist_in_a_folder() {
    let Some(data) = bn_data::data_dir(None) else {
        eprintln!("skipped: BN_DATA_DIR names no folder with MNIST");
        return;
    };
    let folder = folder();
    // Without the environment variable, by --data-dir; the model remembers the folder.
    let bn = |args: &[&str]| {
        let mut command = crate::common::command(folder.path());
        command.env_remove("BN_DATA_DIR").args(args);
        Outcome::of(command.output().unwrap())
    };
    let dir = data.to_str().unwrap();
    let options = [
        "train",
        "--data",
        "mnist",
        "--data-dir",
        dir,
        "--epochs",
        "1",
        "--hidden",
        "20",
    ];
    bn(&options).ok();
    let json = bn(&["eval", "--json"]).ok().json();
    assert_eq!(json["rows"], 10_000);
    assert!(json["accuracy"].as_f64().unwrap() > 0.9);
    assert_eq!(bn(&["train", "--data", "mnist", "--data-dir", "."]).code, 4);
    assert_eq!(
        bn(&["train", "--data", "kmnist", "--data-dir", dir]).code,
        4
    );
}
