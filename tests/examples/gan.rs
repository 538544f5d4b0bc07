//! The DCGAN, runs of it that are killed or interrupted, and the classifier that rates its digits.

use crate::run::{command, fail, files, is_png, json, numbers, place, succeed};
#[cfg(unix)]
use crate::run::{errors, interrupt};
use batchnorm::Network;
use bn_examples::{cnn, dcgan};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
    thread::sleep,
    time::Duration,
};
use tempfile::TempDir;

/// The folder of MNIST, if there is one.
pub(crate) fn mnist() -> Option<String> {
    let folder = std::env::var("BN_DATA_DIR").ok();
    let has = |folder: &String| {
        let file = Path::new(folder).join("train-images-idx3-ubyte");
        file.exists() || file.with_extension("gz").exists()
    };
    let folder = folder.filter(has);
    if folder.is_none() {
        println!("skipped: BN_DATA_DIR names no folder with MNIST");
    }
    folder
}

#[test]
fn the_seed_recipe_is_that_of_keras_layer_by_layer() {
    let golden: Value = serde_json::from_str(include_str!("golden/keras_dcgan.json")).unwrap();
    let check = |network: &Network, keras: &Value| {
        assert_eq!(
            network.param_count() as u64,
            keras["trained"].as_u64().unwrap()
        );
        let layers = keras["layers"].as_array().unwrap();
        assert_eq!(network.layer_names().len(), layers.len());
        for ((name, shape), layer) in network
            .layer_names()
            .zip(network.layer_shapes())
            .zip(layers)
        {
            let want: Vec<usize> = numbers(&layer["shape"])
                .iter()
                .map(|&v| v as usize)
                .collect();
            let got = match shape {
                batchnorm::layers::Shape::Flat(size) => vec![size],
                batchnorm::layers::Shape::Image {
                    height,
                    width,
                    channels,
                } => vec![height, width, channels],
            };
            assert_eq!(got, want, "{name} is {}", layer["name"]);
        }
    };
    let gan = dcgan::Recipe::Seed.gan(1).unwrap();
    check(gan.generator(), &golden["generator"]);
    check(gan.discriminator(), &golden["discriminator"]);
    assert_eq!(golden["generator"]["parameters"], 708_097);
    assert_eq!(golden["discriminator"]["parameters"], 99_585);
}

/// `dcgan` on MNIST, small.
fn args<'a>(data: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let folder: &[&str] = match more.contains(&"--folder") {
        true => &[],
        false => &["--folder", "run"],
    };
    let small = ["--data-dir", data, "--batch-size", "8", "--threads", "2"];
    [&small[..], folder, more].concat()
}

#[test]
fn dcgan_trains_draws_and_resumes() {
    let Some(data) = mnist() else { return };
    let place = place();
    let printed = succeed(
        "dcgan",
        &place,
        &args(
            &data,
            &["--steps", "4", "--grid-every", "2", "--json", "run.json"],
        ),
    );
    assert_eq!(files(&place), ["bn-dcgan.png", "run", "run.json"]);
    assert!(is_png(&place, "bn-dcgan.png"));
    for file in [
        "run/samples-000002.png",
        "run/samples-000004.png",
        "run/losses.png",
    ] {
        assert!(is_png(&place, file), "{file}");
    }
    assert!(
        printed.contains("Recipe dcgan") && printed.contains("4 steps in "),
        "{printed}"
    );
    let results = json(&place, "run.json");
    assert_eq!(results["data"], "mnist");

    fs::write(place.path().join("file"), "").unwrap();
    let error = fail(
        "dcgan",
        &place,
        &args(&data, &["--steps", "1", "--folder", "file"]),
    );
    assert!(error.contains("give another folder"), "{error}");
    fs::remove_file(place.path().join("file")).unwrap();

    // Training from the start would overwrite it, and it does not fit other settings.
    let error = fail("dcgan", &place, &args(&data, &["--steps", "5"]));
    assert!(error.contains("--resume"), "{error}");
    for (option, value) in [("--recipe", "seed"), ("--seed", "7"), ("--batch-size", "9")] {
        let mut args = args(&data, &["--steps", "5", "--resume"]);
        args.retain(|arg| !["--batch-size", "8"].contains(arg));
        if option != "--batch-size" {
            args.extend(["--batch-size", "8"]);
        }
        let error = fail("dcgan", &place, &[&args[..], &[option, value]].concat());
        assert!(error.contains(option), "{error}");
    }
    let error = fail("dcgan", &place, &args(&data, &["--steps", "3", "--resume"]));
    assert!(error.contains("step 4"), "{error}");
    let printed = succeed("dcgan", &place, &args(&data, &["--steps", "5", "--resume"]));
    assert!(printed.contains("starting with step 5"), "{printed}");

    let digits = |file: &str, seed: &str| {
        let sample = [
            "--folder",
            "run",
            "--sample",
            "9",
            "--picture",
            file,
            "--seed",
            seed,
        ];
        let printed = succeed("dcgan", &place, &sample);
        assert!(printed.contains("9 images"), "{printed}");
        fs::read(place.path().join(file)).unwrap()
    };
    let first = digits("a.png", "1");
    assert_eq!(digits("b.png", "1"), first);
    assert_ne!(digits("c.png", "2"), first);
}

#[test]
fn a_killed_run_resumes_to_the_same_bytes() {
    let Some(data) = mnist() else { return };
    const STEPS: &str = "30";
    let run_args = |more: &[&'static str]| -> Vec<String> {
        let steps = [
            "--recipe",
            "seed",
            "--steps",
            STEPS,
            "--checkpoint-every",
            "2",
        ];
        args(&data, &[&steps[..], more].concat())
            .into_iter()
            .map(String::from)
            .collect()
    };
    let checkpoint = |place: &TempDir| fs::read(place.path().join("run/dcgan.safetensors"));
    let whole = place();
    let args = run_args(&[]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    succeed("dcgan", &whole, &args);
    let whole = checkpoint(&whole).unwrap();

    // Killed when the first checkpoint exists, or a little later.
    for wait in [0, 30, 100] {
        let place = place();
        let mut command = command("dcgan", &place, &args);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let has_begun = || checkpoint(&place).is_ok();
        while !has_begun() && child.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(5));
        }
        sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_ne!(
            checkpoint(&place).unwrap(),
            whole,
            "it was killed before the end"
        );
        // The checkpoint is complete.
        let resumed: Vec<&str> = [&args[..], &["--resume"]].concat();
        succeed("dcgan", &place, &resumed);
        assert!(
            checkpoint(&place).unwrap() == whole,
            "killed after {wait} ms"
        );
    }
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_writes_its_checkpoint_first() {
    let Some(data) = mnist() else { return };
    let small = [
        "--recipe",
        "seed",
        "--steps",
        "30",
        "--picture",
        "sheet.svg",
    ];
    let args = args(&data, &small);
    let whole = place();
    succeed("dcgan", &whole, &args);
    let whole = fs::read(whole.path().join("run/dcgan.safetensors")).unwrap();

    let place = place();
    let with_lines = [&args[..], &["--grid-every", "1"]].concat();
    let mut child = command("dcgan", &place, &with_lines)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The pipe stays open: its reader ends with the program.
    let mut lines = lines.map(Result::unwrap);
    lines.find(|line| line.starts_with("step ")).unwrap();
    interrupt(&child);
    lines.for_each(drop);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let message = errors(&output);
    assert!(message.starts_with("Interrupted after "), "{message}");
    assert!(message.ends_with("Continue with --resume.\n"), "{message}");
    assert!(!place.path().join("sheet.svg").exists());

    let resumed = [&args[..], &["--resume"]].concat();
    succeed("dcgan", &place, &resumed);
    let checkpoint = fs::read(place.path().join("run/dcgan.safetensors")).unwrap();
    assert!(checkpoint == whole, "the bytes differ");
}

#[test]
fn the_contact_sheet_of_a_short_run_ends_with_its_last_step() {
    let Some(data) = mnist() else { return };
    let place = place();
    let small = ["--recipe", "seed", "--picture", "sheet.svg", "--steps"];
    succeed(
        "dcgan",
        &place,
        &args(&data, &[&small[..], &["1"]].concat()),
    );
    let sheet = || fs::read_to_string(place.path().join("sheet.svg")).unwrap();
    for text in ["after 0 to 1 step\n", "before training", "\n1 step\n"] {
        assert!(sheet().contains(text), "{text:?}");
    }
    let more = [&small[..], &["2", "--resume"]].concat();
    succeed("dcgan", &place, &args(&data, &more));
    assert!(sheet().contains("\n2 steps\n") && !sheet().contains("\n1 step\n"));
}

#[test]
fn cnn_mnist_writes_a_network_that_other_programs_load() {
    let place = place();
    let args = [
        "--data",
        "digits",
        "--epochs",
        "2",
        "--batch-size",
        "50",
        "--json",
        "run.json",
    ];
    let printed = succeed("cnn_mnist", &place, &args);
    assert_eq!(
        files(&place),
        ["bn-cnn-mnist.png", "mnist-cnn.safetensors", "run.json"]
    );
    assert!(is_png(&place, "bn-cnn-mnist.png"));
    let accuracy = json(&place, "run.json")["test_accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.8, "{accuracy}");
    assert!(
        printed.contains(&format!("{:.2} %", 100.0 * accuracy)),
        "{printed}"
    );

    let file = place.path().join("mnist-cnn.safetensors");
    let mut network = cnn::load(&file, 8).unwrap();
    let (_, test) = batchnorm::Digits::load().unwrap().into_parts();
    assert_eq!(
        network.accuracy(test.images(), test.labels()).unwrap(),
        accuracy
    );
    let best = cnn::Predictions::new(&mut network, test.images())
        .unwrap()
        .best();
    let right = best
        .iter()
        .zip(test.labels())
        .filter(|(best, label)| best.0 == **label);
    assert_eq!(right.count() as f64 / test.len() as f64, accuracy);
    let refused = cnn::load(&file, 28).unwrap_err().to_string();
    assert!(refused.contains("8×8"), "{refused}");
}

#[test]
#[cfg(feature = "lapack")]
fn gan_quality_rates_digits_and_names_missing_files() {
    let Some(data) = mnist() else { return };
    let place = place();
    let error = fail("gan_quality", &place, &["--data-dir", &data]);
    assert!(error.contains("with the example dcgan"), "{error}");
    succeed("dcgan", &place, &args(&data, &["--steps", "1"]));
    let rate = [
        "--data-dir",
        &data,
        "--gan",
        "run/dcgan.safetensors",
        "--samples",
        "300",
        "--json",
        "q.json",
    ];
    let error = fail("gan_quality", &place, &rate);
    assert!(error.contains("with the example cnn_mnist"), "{error}");

    let classifier = cnn::Model::Conv.network(28, 10, 0.3, 1).unwrap();
    cnn::save(&place.path().join("mnist-cnn.safetensors"), &classifier).unwrap();
    let printed = succeed("gan_quality", &place, &rate);
    assert!(
        printed.contains("300 digits") && is_png(&place, "bn-gan-quality.png"),
        "{printed}"
    );
    let results = json(&place, "q.json");
    for which in ["generated", "real"] {
        let results = &results[which];
        let shares = numbers(&results["class_shares"]);
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let entropy: f64 = shares
            .iter()
            .filter(|&&p| p > 0.0)
            .map(|p| -p * p.log2())
            .sum();
        assert!((results["class_entropy_bits"].as_f64().unwrap() - entropy).abs() < 1e-9);
        assert!((0.0..=1.0).contains(&results["confident_share"].as_f64().unwrap()));
    }
    // Noise is further from the test digits than the training digits are.
    let distance = |which: &str| results[which]["frechet_distance"].as_f64().unwrap();
    assert!(distance("generated") > 5.0 * distance("real"), "{results}");
    let mut rate = rate;
    rate[3] = "q.json"; // not a checkpoint
    let error = fail("gan_quality", &place, &rate);
    assert!(error.contains("q.json"), "{error}");
}
