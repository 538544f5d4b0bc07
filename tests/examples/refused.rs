//! What the examples refuse, and that they leave nothing behind then.

use crate::run::{command, fail, files, place, run};
use std::{fs, process::Stdio};

#[test]
fn bad_input_is_told_in_one_line_before_anything_is_written() {
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
    for (example, args, told) in [
        ("quickstart", &["--picture", "a.jpg"][..], ".png or .svg"),
        (
            "quickstart",
            &["--picture", "no/such/a.png"],
            "there is no folder no/such",
        ),
        (
            "quickstart",
            &["--json", "no/such/a.json"],
            "there is no folder no/such",
        ),
        ("quickstart", &["--picture", "empty"], ".png or .svg"),
        ("quickstart", &["--json", "empty"], "it is a folder"),
        ("quickstart", &["--threads", "0"], "at least one"),
        ("quickstart", &["--batch-size", "0"], "at least 1"),
        ("quickstart", &["--lr=-1"], "the learning rate must be"),
        ("quickstart", &["--lr", "1e9"], "a smaller learning rate"),
        (
            "mnist",
            &["--data", "digits", "--batch-size", "0"],
            "at least 1",
        ),
        (
            "mnist",
            &["--data", "digits", "--hidden", "0"],
            "the number of outputs",
        ),
        (
            "mnist",
            &["--data", "digits", "--history", "h.txt"],
            ".csv or .json",
        ),
        (
            "mnist",
            &["--data", "digits", "--history", "no/h.csv"],
            "there is no folder no",
        ),
        ("mnist", &["--data-dir", "empty"], "MNIST was not found"),
        ("mnist", &["--data-dir", "damaged"], "truncated"),
        (
            "mnist",
            &["--data", "fashion", "--data-dir", "no"],
            "no such folder",
        ),
        (
            "bn_comparison",
            &["--data", "digits", "--images", "0"],
            "empty",
        ),
        (
            "bn_comparison",
            &["--data", "digits", "--batch-size", "0"],
            "at least 1",
        ),
        ("activation_histograms", &["--images", "1"], "at least 2"),
        (
            "activation_histograms",
            &["--weight-init-std", "nan"],
            "finite number",
        ),
        ("gradient_check", &["--batch", "0"], "empty"),
        ("functional", &["--batch-size", "0"], "at least 1"),
        ("functional", &["--batch-size", "1"], "at least 2 values"),
        ("roofline", &["--threads", "0"], "at least one"),
        ("roofline", &["--picture", "a.jpg"], ".png or .svg"),
    ] {
        let error = fail(example, &place, args);
        assert!(error.contains(told), "{example} {args:?}: {error}");
        assert_eq!(files(&place), ["damaged", "empty"], "{example} {args:?}");
    }
    for args in [
        &["--seed", "-1"][..],
        &["--epochs", "0"],
        &["--data", "cifar"],
        &["--nonsense"],
    ] {
        assert_eq!(
            run("quickstart", &place, args).status.code(),
            Some(2),
            "{args:?}"
        );
    }
    assert_eq!(files(&place), ["damaged", "empty"]);
}

#[test]
fn a_failed_run_leaves_an_old_picture_alone() {
    let place = place();
    let old = place.path().join("bn-quickstart.png");
    fs::write(&old, "old").unwrap();
    fail("quickstart", &place, &["--lr", "1e9"]);
    assert_eq!(fs::read_to_string(old).unwrap(), "old");
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    let place = place();
    let mut quickstart = command("quickstart", &place, &["--epochs", "1"]);
    let mut child = quickstart
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
