//! What the examples print and draw, and what happens if they cannot, or are interrupted.

use crate::run::{DEBUG_NOTICE, command, errors, files, json, place, run, succeed};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};
use tempfile::TempDir;

/// A run of `mnist` with many short epochs.
const LONG_RUN: [&str; 8] = [
    "--data",
    "digits",
    "--hidden",
    "20",
    "--epochs",
    "1000",
    "--threads",
    "1",
];

fn start(example: &str, place: &TempDir, args: &[&str]) -> Child {
    let mut command = command(example, place, args);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn a_debug_build_says_so() {
    let place = place();
    let output = run("functional", &place, &["--epochs", "1"]);
    let text = String::from_utf8(output.stderr).unwrap();
    if cfg!(debug_assertions) {
        assert!(text.starts_with(DEBUG_NOTICE), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    } else {
        assert_eq!(text, "");
    }
}

#[test]
fn every_epoch_has_a_line_as_soon_as_it_ends() {
    let place = place();
    let epochs = ["--data", "digits", "--epochs", "2", "--batch-size", "200"];
    for (example, args) in [
        ("mnist", [&epochs[..], &["--hidden", "20"]].concat()),
        ("cnn_mnist", epochs.to_vec()),
    ] {
        let printed = succeed(example, &place, &args);
        for epoch in [
            "epoch 1 of 2: training loss ",
            "epoch 2 of 2: training loss ",
        ] {
            assert!(printed.contains(epoch), "{example}: {printed}");
        }
        assert!(
            printed.contains("Test accuracy after 2 epochs"),
            "{printed}"
        );
    }
    // The first line arrives while the run goes on.
    let mut child = start("mnist", &place, &LONG_RUN);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    lines.find(|line| line.starts_with("epoch ")).unwrap();
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_results_are_printed_even_if_the_history_cannot_be_written() {
    let place = place();
    fs::create_dir(place.path().join("gone")).unwrap();
    let mut args = LONG_RUN;
    args[5] = "100"; // epochs
    let outputs = ["--history", "gone/history.csv", "--json", "run.json"];
    let mut child = start("mnist", &place, &[&args[..], &outputs].concat());
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    lines.find(|line| line.starts_with("epoch ")).unwrap();
    fs::remove_dir(place.path().join("gone")).unwrap();
    let rest: Vec<String> = lines.collect();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = errors(&output);
    assert!(error.contains("cannot write gone/history.csv"), "{error}");
    assert!(
        rest.iter()
            .any(|line| line.starts_with("Test accuracy after 100 epochs"))
    );
    // The other files are written.
    assert_eq!(files(&place), ["bn-mnist.png", "run.json"]);
    let results = json(&place, "run.json");
    assert_eq!(results["history"].as_array().unwrap().len(), 100);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_behind_standard_output_is_an_error() {
    let place = place();
    for args in [
        &["--data", "digits", "--epochs", "1", "--hidden", "5"][..],
        &LONG_RUN,
    ] {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = command("mnist", &place, args)
            .stdout(full)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let error = errors(&output);
        let start = "error: cannot write to standard output: No space left";
        assert!(error.starts_with(start), "{error}");
    }
    assert!(files(&place).is_empty());
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    let place = place();
    for (example, args) in [("quickstart", &["--epochs", "1"][..]), ("mnist", &LONG_RUN)] {
        let mut child = start(example, &place, args);
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        reader.read_line(&mut String::new()).unwrap(); // as `head -1` does
        drop(reader);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(errors(&output), "");
    }
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_ends_with_130_and_leaves_no_file() {
    let place = place();
    let mut child = start("mnist", &place, &LONG_RUN);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    lines.find(|line| line.starts_with("epoch ")).unwrap();
    crate::run::interrupt(&child);
    lines.for_each(drop);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(errors(&output), "");
    assert!(files(&place).is_empty());
}

/// With a pseudo-terminal of util-linux's `script`, which is not on every machine.
#[test]
#[cfg(target_os = "linux")]
fn an_interrupted_run_leaves_the_terminal_clean() {
    let place = place();
    let program = command("mnist", &place, &[]).get_program().to_owned();
    let options = LONG_RUN.join(" ");
    // A shell of its own, which the program is a child of, as at a terminal. Narrow, too.
    let run = format!(
        "stty cols 50; {} {options} >out & pid=$!; while ! grep -q epoch out; do sleep 0.02; done; \
         kill -INT $pid; wait $pid; echo code $?",
        program.display()
    );
    let script = std::process::Command::new("script")
        .args(["-qec", &run, "/dev/null"])
        .current_dir(place.path())
        .output();
    let Ok(output) = script else {
        return println!("skipped: there is no `script`");
    };
    let screen = String::from_utf8(output.stdout).unwrap();
    // The bar was drawn. Its line is cleared, and the cursor is visible at its beginning.
    let (before, after) = screen.rsplit_once("\r\x1b[2K\x1b[?25h").expect(&screen);
    assert!(before.contains("steps"), "{screen}");
    assert_eq!(after, "code 130\r\n", "{screen}");
}

#[test]
fn a_run_of_one_epoch_draws_its_points() {
    let place = place();
    let args = ["--data", "digits", "--epochs", "1", "--picture", "p.svg"];
    for (example, title) in [
        ("mnist", "of the test images classified correctly"),
        ("cnn_mnist", "test images classified correctly"),
        ("quickstart", "The same network with and without"),
    ] {
        succeed(example, &place, &args);
        let svg = fs::read_to_string(place.path().join("p.svg")).unwrap();
        assert!(svg.contains(title), "{example}");
        // The two curves.
        for color in ["#0072B2", "#D55E00"] {
            let marker = svg.lines().find(|line| {
                line.starts_with("<circle") && line.contains(&format!("fill=\"{color}\""))
            });
            assert!(marker.is_some(), "{example}: {color}");
        }
    }
}

#[test]
fn nothing_is_counted_as_1_epochs() {
    let place = place();
    let args = [
        "--data",
        "digits",
        "--epochs",
        "1",
        "--threads",
        "1",
        "--picture",
        "p.svg",
    ];
    for example in ["mnist", "cnn_mnist", "quickstart"] {
        let printed = succeed(example, &place, &args);
        assert!(printed.contains("1 epoch "), "{printed}");
        let svg = fs::read_to_string(place.path().join("p.svg")).unwrap();
        for text in [&printed, &svg] {
            assert!(
                !text.contains("1 epochs") && !text.contains("1 threads"),
                "{text}"
            );
        }
    }
}

#[test]
fn roofline_explains_its_names_in_the_picture() {
    let place = place();
    let args = [
        "--quick",
        "--threads",
        "1",
        "--picture",
        "r.svg",
        "--json",
        "r.json",
    ];
    succeed("roofline", &place, &args);
    let svg = fs::read_to_string(place.path().join("r.svg")).unwrap();
    for text in [
        "as a share of the machine's peak (1 thread)",
        "\nbook 784-5×100-10, batch 100\n",
        "y = x·W, forward pass",
        "\nbook 784→100 dW\n",
    ] {
        let escaped = text.replace('\'', "&apos;");
        assert!(svg.contains(text) || svg.contains(&escaped), "{text}");
    }
    let results = json(&place, "r.json");
    let products = results["measured"][0]["products"].as_array().unwrap();
    let shares = products.iter().map(|p| p["share"].as_f64().unwrap());
    assert!(shares.fold(0.0, f64::max) <= 1.0 + 1e-9);
    assert_eq!(products[0]["result"], Value::from("y"));
}
