//! The residual network, and its runs that are interrupted.

use crate::run::{files, is_png, json, place, reproducible, succeed};
use bn_examples::cnn;

const RUN: [&str; 8] = [
    "--data",
    "digits",
    "--epochs",
    "6",
    "--threads",
    "1",
    "--json",
    "run.json",
];

#[test]
fn resnet_learns_from_augmented_images() {
    let place = place();
    let save = ["--save", "resnet.safetensors", "--shift", "1"];
    let printed = succeed("resnet", &place, &[&RUN[..], &save].concat());
    assert_eq!(
        files(&place),
        ["bn-resnet.png", "resnet.safetensors", "run.json"]
    );
    assert!(is_png(&place, "bn-resnet.png"));
    let results = json(&place, "run.json");
    let accuracy = results["test_accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.8, "{accuracy}");
    assert!(printed.contains("epoch 6 of 6: training loss"), "{printed}");
    // The network at the end is the average, which was evaluated.
    assert_eq!(results["history"][5]["metrics"][0]["test"], accuracy);

    let network = cnn::load(&place.path().join("resnet.safetensors"), 8).unwrap();
    let (_, test) = batchnorm::Digits::load().unwrap().into_parts();
    let loaded = network.accuracy(test.images(), test.labels()).unwrap();
    assert_eq!(loaded, accuracy);
    // Augmentation changes the run.
    succeed(
        "resnet",
        &place,
        &[&RUN[..], &["--shift", "0", "--rotation", "0"]].concat(),
    );
    assert_ne!(json(&place, "run.json")["test_loss"], results["test_loss"]);
}

#[test]
fn cnn_mnist_trains_either_network() {
    let place = place();
    let args = [
        "--data", "digits", "--epochs", "1", "--json", "run.json", "--model",
    ];
    let parameters = ["conv", "resnet"].map(|model| {
        succeed("cnn_mnist", &place, &[&args[..], &[model]].concat());
        let network = cnn::load(&place.path().join("mnist-cnn.safetensors"), 8).unwrap();
        let residual = network.layer_names().any(|name| name == "residual");
        assert_eq!(residual, model == "resnet");
        json(&place, "run.json")["parameters"].as_u64().unwrap()
    });
    assert_ne!(parameters[0], parameters[1]);
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_continues_with_the_same_results() {
    use crate::run::{command, errors, interrupt};
    use std::{
        io::{BufRead, BufReader},
        process::Stdio,
    };
    let place = place();
    let run = RUN.map(|arg| if arg == "6" { "8" } else { arg }); // time for the interrupt
    succeed("resnet", &place, &run);
    let whole = reproducible(json(&place, "run.json"));
    std::fs::remove_file(place.path().join("run.json")).unwrap();
    std::fs::remove_file(place.path().join("bn-resnet.png")).unwrap();

    let args = [&run[..], &["--checkpoint", "run.safetensors"]].concat();
    let mut command = command("resnet", &place, &args);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    lines.find(|line| line.starts_with("epoch 1 ")).unwrap();
    interrupt(&child);
    assert!(lines.all(|line| !line.starts_with("epoch 8 ")));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(errors(&output), "");
    assert_eq!(files(&place), ["run.safetensors"]);

    let printed = succeed("resnet", &place, &args);
    assert!(!printed.contains("epoch 1 of 8"), "{printed}");
    assert_eq!(reproducible(json(&place, "run.json")), whole);
    // A run that is complete is not trained further.
    let printed = succeed("resnet", &place, &args);
    assert!(!printed.contains("epoch 8 of 8"), "{printed}");
    assert_eq!(reproducible(json(&place, "run.json")), whole);
}
