//! What the examples refuse, and that a refused run writes nothing.

use crate::run::{fail, files, place, refuse};
use std::fs;

#[test]
fn bad_input_is_refused_with_one_line_before_anything_is_written() {
    let place = place();
    let empty = place.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let damaged = place.path().join("damaged");
    fs::create_dir(&damaged).unwrap();
    for (file, header) in [
        (
            "train-images-idx3-ubyte",
            &[0, 0, 8, 3, 0, 0, 0xea, 0x60, 0, 0, 0, 28, 0, 0, 0, 28][..],
        ),
        (
            "train-labels-idx1-ubyte",
            &[0, 0, 8, 1, 0, 0, 0xea, 0x60][..],
        ),
        (
            "t10k-images-idx3-ubyte",
            &[0, 0, 8, 3, 0, 0, 0x27, 0x10, 0, 0, 0, 28, 0, 0, 0, 28][..],
        ),
        (
            "t10k-labels-idx1-ubyte",
            &[0, 0, 8, 1, 0, 0, 0x27, 0x10][..],
        ),
    ] {
        fs::write(damaged.join(file), header).unwrap();
    }
    // With a folder that has no data, so that the message shows what is checked first.
    let no_data = |more: &[&'static str]| [&["--data-dir", "empty"], more].concat();
    for (example, args, message) in [
        ("quickstart", vec!["--picture", "a.jpg"], ".png or .svg"),
        ("quickstart", vec!["--picture", "empty"], ".png or .svg"),
        (
            "quickstart",
            vec!["--picture", "no/such/a.png"],
            "there is no folder no/such",
        ),
        (
            "quickstart",
            vec!["--json", "no/such/a.json"],
            "there is no folder no/such",
        ),
        ("quickstart", vec!["--json", "empty"], "it is a folder"),
        (
            "quickstart",
            vec!["--json", "bn-quickstart.png"],
            "two outputs have the same name",
        ),
        ("quickstart", vec!["--lr", "1e9"], "a smaller learning rate"),
        ("mnist", no_data(&["--history", "h.txt"]), ".csv or .json"),
        (
            "mnist",
            no_data(&["--history", "no/h.csv"]),
            "there is no folder no",
        ),
        (
            "mnist",
            no_data(&["--history", "h.json", "--json", "h.json"]),
            "two outputs",
        ),
        ("mnist", no_data(&[]), "MNIST was not found"),
        (
            "mnist",
            no_data(&[]),
            "or give another folder with --data-dir",
        ),
        ("mnist", vec!["--data-dir", "damaged"], "truncated"),
        (
            "mnist",
            vec!["--data", "fashion", "--data-dir", "no"],
            "no such folder",
        ),
        (
            "mnist",
            vec!["--data", "emnist"],
            ". (lacks emnist-balanced-train-images-idx3-ubyte, emnist-balanced-train-labels-idx1-ubyte",
        ),
        (
            "mnist",
            vec!["--data", "kmnist", "--data-dir", "empty"],
            "empty (lacks train-images-idx3-ubyte",
        ),
        (
            "mnist",
            vec!["--data", "qmnist", "--data-dir", "damaged"],
            "qmnist-test-labels-idx2-int). Fetch its four files from https://github.com/",
        ),
        (
            "cnn_mnist",
            no_data(&["--save", "no/a"]),
            "there is no folder no",
        ),
        (
            "bn_comparison",
            no_data(&["--images", "50"]),
            "--batch-size 100 is more than --images 50",
        ),
        (
            "bn_comparison",
            vec!["--data", "digits", "--images", "250", "--numpy-seed", "0"],
            "choose a --batch-size that divides 250",
        ),
        (
            "functional",
            vec!["--batch-size", "2000"],
            "the number of images",
        ),
        (
            "dcgan",
            no_data(&["--json", "no/a.json"]),
            "there is no folder no",
        ),
        (
            "dcgan",
            no_data(&["--resume"]),
            "train without --resume first",
        ),
        (
            "dcgan",
            no_data(&["--folder", "damaged/train-images-idx3-ubyte/a"]),
            "is a file",
        ),
        (
            "dcgan",
            vec!["--data", "digits"],
            "give any --data but digits",
        ),
        (
            "dcgan",
            vec!["--sample", "3"],
            "cannot read dcgan/dcgan.safetensors",
        ),
        ("roofline", vec!["--picture", "a.jpg"], ".png or .svg"),
        (
            "regression",
            vec!["--json", "no/a.json"],
            "there is no folder no",
        ),
        ("regression", vec!["--lr", "1e9"], "a smaller learning rate"),
        (
            "binary",
            no_data(&["--data", "mnist", "--digits", "4"]),
            "takes two classes",
        ),
        (
            "binary",
            no_data(&["--data", "mnist", "--digits", "4,4"]),
            "two different classes",
        ),
        (
            "binary",
            no_data(&["--data", "mnist"]),
            "MNIST was not found",
        ),
        (
            "resnet",
            no_data(&["--checkpoint", "no/a"]),
            "there is no folder no",
        ),
        (
            "resnet",
            no_data(&["--checkpoint", "a", "--save", "a"]),
            "two outputs have the same name",
        ),
        (
            "resnet",
            vec!["--data", "digits", "--shift", "9"],
            "at most 7 for images of 8 x 8 pixels",
        ),
    ] {
        let error = fail(example, &place, &args);
        assert!(error.contains(message), "{example} {args:?}: {error}");
        assert_eq!(files(&place), ["damaged", "empty"], "{example} {args:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn files_that_cannot_be_written_are_refused_before_the_data_are_read() {
    let place = place();
    fs::create_dir(place.path().join("empty")).unwrap();
    for (file, message) in [
        ("/dev/full", "it is a device"),
        ("/dev/stdout", "it is a device"),
        ("/proc/a.json", "cannot write /proc/a.json: "),
    ] {
        let error = fail("mnist", &place, &["--data-dir", "empty", "--json", file]);
        assert!(error.contains(message), "{error}");
    }
    assert_eq!(files(&place), ["empty"]);
}

#[test]
fn options_out_of_range_are_refused() {
    let place = place();
    for (example, option, values, range) in [
        (
            "quickstart",
            "--seed",
            &["-1", "x"][..],
            "an integer, 0 or more",
        ),
        (
            "quickstart",
            "--epochs",
            &["0", "-1"],
            "an integer, 1 or more",
        ),
        (
            "quickstart",
            "--threads",
            &["0", "1000000"],
            "from 1 to 1024",
        ),
        (
            "quickstart",
            "--batch-size",
            &["0", "1", "99999999999"],
            "from 2 to 60000",
        ),
        (
            "quickstart",
            "--lr",
            &["nan", "-1", "inf", "1e39", "0"],
            "finite number above 0",
        ),
        (
            "quickstart",
            "--weight-init-std",
            &["nan", "-1"],
            "finite number, 0 or more",
        ),
        (
            "quickstart",
            "--data",
            &["cifar"],
            "possible values: digits, mnist, fashion, emnist, kmnist, qmnist",
        ),
        ("mnist", "--epochs", &["0"], "an integer, 1 or more"),
        ("mnist", "--batch-size", &["0"], "from 2 to 60000"),
        ("mnist", "--lr", &["nan", "-1"], "finite number above 0"),
        ("mnist", "--dropout", &["1", "nan", "-0.1"], "from 0 to 1"),
        (
            "mnist",
            "--hidden",
            &["0", "99999999999", "10,0", "-5"],
            "from 1 to 10000",
        ),
        ("cnn_mnist", "--epochs", &["0"], "an integer, 1 or more"),
        ("cnn_mnist", "--batch-size", &["0"], "from 2 to 60000"),
        ("cnn_mnist", "--lr", &["nan", "-1"], "finite number above 0"),
        ("bn_comparison", "--images", &["0", "1"], "from 2 to 60000"),
        (
            "bn_comparison",
            "--batch-size",
            &["0", "99999999999"],
            "from 2 to 60000",
        ),
        (
            "bn_comparison",
            "--lr",
            &["nan", "-1"],
            "finite number above 0",
        ),
        (
            "bn_comparison",
            "--numpy-seed",
            &["-1", "4294967296"],
            "not in 0..=4294967295",
        ),
        (
            "activation_histograms",
            "--images",
            &["1"],
            "from 2 to 60000",
        ),
        (
            "activation_histograms",
            "--weight-init-std",
            &["nan", "-1"],
            "finite number",
        ),
        ("gradient_check", "--batch", &["0", "1"], "from 2 to 1000"),
        ("gradient_check", "--entries", &["0"], "from 1 to 1000000"),
        ("functional", "--epochs", &["0"], "an integer, 1 or more"),
        (
            "functional",
            "--batch-size",
            &["0", "99999999999"],
            "from 2 to 60000",
        ),
        (
            "functional",
            "--lr",
            &["nan", "-1"],
            "finite number above 0",
        ),
        ("dcgan", "--epochs", &["0"], "an integer, 1 or more"),
        ("dcgan", "--steps", &["0"], "an integer, 1 or more"),
        ("dcgan", "--batch-size", &["0"], "from 2 to 60000"),
        ("dcgan", "--grid-every", &["0"], "an integer, 1 or more"),
        ("dcgan", "--sample", &["0", "10001"], "from 1 to 10000"),
        ("roofline", "--threads", &["0", "-2"], "from 1 to 1024"),
        (
            "regression",
            "--points",
            &["0", "9", "1e3"],
            "from 10 to 1000000",
        ),
        (
            "regression",
            "--noise",
            &["nan", "-1"],
            "finite number, 0 or more",
        ),
        ("regression", "--hidden", &["0", "10,0"], "from 1 to 10000"),
        (
            "regression",
            "--batch-size",
            &["0", "1"],
            "from 2 to 1000000",
        ),
        ("binary", "--digits", &["10", "-1", "1,x"], "from 0 to 9"),
        ("binary", "--lr", &["nan", "0"], "finite number above 0"),
        (
            "transfer",
            "--images",
            &["0", "1,0", "99999999999"],
            "from 1 to 10000",
        ),
        ("transfer", "--steps", &["0"], "an integer, 1 or more"),
        ("transfer", "--repeats", &["0"], "an integer, 1 or more"),
        ("custom_layer", "--epochs", &["0"], "an integer, 1 or more"),
        ("custom_loop", "--accumulate", &["0"], "from 1 to 60000"),
        (
            "custom_loop",
            "--clip",
            &["0", "nan", "inf"],
            "finite number above 0",
        ),
        ("resnet", "--shift", &["28", "-1"], "from 0 to 27"),
        (
            "resnet",
            "--rotation",
            &["181", "nan", "-1"],
            "from 0 to 180",
        ),
        (
            "resnet",
            "--ema-decay",
            &["1", "nan", "-0.1"],
            "from 0 to 1",
        ),
        (
            "resnet",
            "--weight-decay",
            &["nan", "-1"],
            "finite number, 0 or more",
        ),
        (
            "cnn_mnist",
            "--model",
            &["vgg"],
            "possible values: conv, resnet",
        ),
    ] {
        for value in values {
            let error = refuse(example, &place, &[option, value]);
            let message = format!("invalid value '{}'", value.rsplit(',').next().unwrap());
            assert!(error.contains(&message), "{example} {option}: {error}");
            assert!(error.contains(range), "{example} {option}: {error}");
        }
    }
    refuse("quickstart", &place, &["--nonsense"]);
    assert!(files(&place).is_empty());
}

#[test]
fn a_failed_run_does_not_touch_an_old_picture() {
    let place = place();
    let old = place.path().join("bn-quickstart.png");
    fs::write(&old, "old").unwrap();
    fail("quickstart", &place, &["--lr", "1e9"]);
    assert_eq!(fs::read_to_string(old).unwrap(), "old");
}
