//! Runs each example as its users do, on small inputs, and checks what it prints, writes and
//! refuses.

mod coming_from;
mod gan;
mod numpy_seed;
mod output;
mod refused;
mod resnet;
mod run;
mod tasks;

use run::{files, is_png, is_svg, json, numbers, place, succeed};
use serde_json::Value;
use std::fs;

#[test]
fn every_example_has_a_help_text() {
    let place = place();
    for example in [
        "quickstart",
        "mnist",
        "bn_comparison",
        "activation_histograms",
        "gradient_check",
        "functional",
        "cnn_mnist",
        "dcgan",
        "binary",
        "transfer",
        "custom_layer",
        "custom_loop",
        "resnet",
    ] {
        let help = succeed(example, &place, &["--help"]);
        for option in [
            "--seed",
            "--threads",
            "--data",
            "--data-dir",
            "--picture",
            "--json",
        ] {
            assert!(help.contains(option), "{example}: {option}");
        }
    }
    let help = succeed("regression", &place, &["--help"]);
    for option in ["--seed", "--threads", "--points", "--picture", "--json"] {
        assert!(help.contains(option), "regression: {option}");
    }
    assert!(files(&place).is_empty());
}

#[test]
fn quickstart_shows_what_batch_normalization_does() {
    let place = place();
    let printed = succeed("quickstart", &place, &["--json", "run.json"]);
    assert_eq!(files(&place), ["bn-quickstart.png", "run.json"]);
    assert!(is_png(&place, "bn-quickstart.png"));
    let results = json(&place, "run.json");
    let accuracy = |which: &str| results[which]["test_accuracy"].as_f64().unwrap();
    let (with, without) = (accuracy("batch_norm"), accuracy("plain"));
    assert!(with > 0.9 && with > without + 0.03, "{with} {without}");
    assert_eq!(
        results["batch_norm"]["history"].as_array().unwrap().len(),
        30
    );
    let accuracies = format!(
        "Test accuracy: {:.1} % with BatchNormalization, {:.1} % without.",
        100.0 * with,
        100.0 * without
    );
    let lines: Vec<&str> = printed.lines().rev().take(3).collect();
    let files = ["Picture: bn-quickstart.png", "JSON: run.json"];
    assert_eq!(lines, [files[0], files[1], &accuracies]);
}

#[test]
fn the_same_seed_gives_the_same_results_on_any_number_of_threads() {
    let place = place();
    let results = |seed: &str, threads: &str| {
        let args = [
            "--epochs",
            "2",
            "--seed",
            seed,
            "--threads",
            threads,
            "--json",
            "run.json",
        ];
        succeed("quickstart", &place, &args);
        let mut results = json(&place, "run.json");
        for which in ["batch_norm", "plain"] {
            for record in results[which]["history"].as_array_mut().unwrap() {
                record["seconds"].take();
            }
        }
        [results["batch_norm"].take(), results["plain"].take()]
    };
    let reference = results("1", "1");
    assert_eq!(results("1", "3"), reference);
    assert_ne!(results("2", "1"), reference);
}

#[test]
fn mnist_writes_its_history_and_its_confusion_matrix() {
    let place = place();
    let args = [
        "--data", "digits", "--epochs", "3", "--hidden", "40,30", "--seed", "1",
    ];
    let files_of_run = [
        "--json",
        "run.json",
        "--picture",
        "p.svg",
        "--history",
        "h.csv",
    ];
    succeed("mnist", &place, &[&args[..], &files_of_run].concat());
    assert_eq!(files(&place), ["h.csv", "p.svg", "run.json"]);
    assert!(is_svg(&place, "p.svg"));
    assert_eq!(
        fs::read_to_string(place.path().join("h.csv"))
            .unwrap()
            .lines()
            .count(),
        4
    );

    let results = json(&place, "run.json");
    let accuracy = results["test_accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.7, "{accuracy}");
    assert!(results["seconds"].as_f64().unwrap() > 0.0);
    if cfg!(target_os = "linux") {
        assert!(results["peak_rss_bytes"].as_u64().unwrap() > 1 << 20);
    }
    let matrix = results["confusion_matrix"].as_array().unwrap();
    let rows: Vec<Vec<f64>> = matrix.iter().map(numbers).collect();
    let correct: f64 = (0..10).map(|k| rows[k][k]).sum();
    let all: f64 = rows.iter().flatten().sum();
    assert_eq!(all, 382.0);
    assert_eq!(correct / all, accuracy);
    // The accuracy is that of the last epoch, even if an earlier one was better.
    let of_last_epoch = &results["history"][2]["metrics"][0];
    assert_eq!(of_last_epoch["name"], "accuracy");
    assert_eq!(of_last_epoch["test"], results["test_accuracy"]);

    let files_of_run = ["--picture", "p.svg", "--history", "h.json"];
    succeed("mnist", &place, &[&args[..], &files_of_run].concat());
    assert_eq!(json(&place, "h.json")["records"], {
        let mut history = results["history"].clone();
        let records = history.as_array_mut().unwrap();
        for (record, now) in records
            .iter_mut()
            .zip(json(&place, "h.json")["records"].as_array().unwrap())
        {
            record["seconds"] = now["seconds"].clone();
        }
        history
    });
}

#[test]
fn bn_comparison_fills_sixteen_panels() {
    let place = place();
    let args = [
        "--data",
        "digits",
        "--images",
        "200",
        "--batch-size",
        "20",
        "--json",
        "run.json",
    ];
    succeed("bn_comparison", &place, &args);
    assert!(is_png(&place, "bn-comparison.png"));
    let results = json(&place, "run.json");
    let panels = results["panels"].as_array().unwrap();
    assert_eq!(panels.len(), 16);
    for (i, panel) in panels.iter().enumerate() {
        let std = panel["weight_init_std"].as_f64().unwrap();
        assert!((std.log10() + 4.0 * i as f64 / 15.0).abs() < 1e-12, "{std}");
        let ends = ["batch_norm", "plain"].map(|which| {
            let accuracies = numbers(&panel[which]);
            assert_eq!(accuracies.len(), 20);
            assert!(accuracies.iter().all(|a| (0.0..=1.0).contains(a)));
            accuracies[19]
        });
        assert!(
            ends[0] > 0.2,
            "panel {i} with BatchNormalization: {}",
            ends[0]
        );
        if !(0.05..0.5).contains(&std) {
            assert!(ends[1] < 0.2, "panel {i} without: {}", ends[1]);
        }
    }
    assert_eq!(panels[0]["weight_init_std"], 1.0);
}

#[test]
fn activations_pile_up_at_the_ends_without_batch_normalization() {
    let place = place();
    let args = [
        "--weight-init-std",
        "1",
        "--json",
        "run.json",
        "--picture",
        "a.svg",
    ];
    let printed = succeed("activation_histograms", &place, &args);
    assert!(is_svg(&place, "a.svg"));
    assert!(printed.contains("sigmoid"));
    let results = json(&place, "run.json");
    for layer in 0..5 {
        let std = |which: &str| results[which][layer]["std"].as_f64().unwrap();
        assert!(std("plain") > 0.4, "{layer}: {}", std("plain"));
        assert!(std("batch_norm") < 0.25, "{layer}: {}", std("batch_norm"));
    }
    for activation in ["relu", "tanh"] {
        // Activations without any spread are drawn too.
        for std in ["0.01", "0"] {
            let args = ["--activation", activation, "--weight-init-std", std];
            succeed("activation_histograms", &place, &args);
            assert!(is_png(&place, "bn-activations.png"));
        }
    }
}

#[test]
fn gradient_check_names_every_parameter() {
    let place = place();
    for activation in ["relu", "sigmoid", "tanh"] {
        let args = [
            "--activation",
            activation,
            "--batch",
            "5",
            "--entries",
            "50",
        ];
        let files_of_run = ["--json", "run.json", "--picture", "g.png"];
        let printed = succeed(
            "gradient_check",
            &place,
            &[&args[..], &files_of_run].concat(),
        );
        assert!(is_png(&place, "g.png"));
        let results = json(&place, "run.json");
        let params = results["params"].as_array().unwrap();
        for name in [
            "layers.0.weight",
            "layers.1.gamma",
            "layers.5.beta",
            "layers.7.bias",
            "x",
        ] {
            assert!(printed.contains(name), "{printed}");
            let param = params.iter().find(|p| p["name"] == name).unwrap();
            assert!(param["relative"].as_f64().unwrap() <= 1e-6, "{param}");
            assert!(param["checked"].as_u64().unwrap() >= 5, "{param}");
        }
    }
}

#[test]
fn functional_undoes_the_normalisation() {
    let place = place();
    let args = ["--json", "run.json", "--picture", "f.png"];
    succeed("functional", &place, &args);
    assert!(is_png(&place, "f.png"));
    let results = json(&place, "run.json");
    let error = |name: &str| results[name].as_f64().unwrap();
    let (first, last) = (
        error("mean_square_error_before"),
        error("mean_square_error"),
    );
    assert!(last < 1e-3 && first > 0.1, "{first} {last}");
    for (learned, target) in [("gamma", "std"), ("beta", "mean")] {
        let pairs = numbers(&results[learned])
            .into_iter()
            .zip(numbers(&results[target]));
        for (c, (learned, target)) in pairs.enumerate() {
            // A pixel that is nearly always 0 gives hardly any gradient.
            let varies = numbers(&results["std"])[c] > 0.1;
            assert!(
                !varies || (learned - target).abs() < 0.05,
                "{c}: {learned} {target}"
            );
        }
    }
}

#[test]
fn roofline_compares_each_kernel_with_its_limit() {
    let place = place();
    let args = ["--quick", "--threads", "2", "--json", "run.json"];
    let printed = succeed(
        "roofline",
        &place,
        &[&args[..], &["--picture", "r.png"]].concat(),
    );
    assert_eq!(files(&place), ["r.png", "run.json"]);
    assert!(is_png(&place, "r.png"));
    for text in ["fastest matrix product", "book 784→100 dW", "dW = xᵀ·dout"] {
        assert!(printed.contains(text), "{text}: {printed}");
    }

    let results = json(&place, "run.json");
    let measured = results["measured"].as_array().unwrap();
    let threads: Vec<_> = measured.iter().map(|on| on["threads"].clone()).collect();
    let expected: &[u64] = if cfg!(feature = "parallel") {
        &[1, 2]
    } else {
        &[1]
    };
    assert_eq!(threads, expected);
    for on in measured {
        let peak = on["peak_flops_per_second"].as_f64().unwrap();
        assert!(on["memory_bytes_per_second"].as_f64().unwrap() > 0.0);
        let number = |kernel: &Value, name: &str| kernel[name].as_f64().unwrap();
        let sizes = |kernel: &Value| -> f64 {
            let name = kernel["name"].as_str().unwrap();
            let sizes = name.rsplit_once(' ').unwrap().1.split('×');
            sizes.map(|size| size.parse::<f64>().unwrap()).product()
        };
        let products = on["products"].as_array().unwrap();
        // Two of the first layer, three of a hidden layer and three of the last layer.
        assert_eq!(products.len(), 8);
        for product in products {
            assert_eq!(number(product, "flops"), 2.0 * sizes(product), "{product}");
            let rate = number(product, "flops") / number(product, "seconds");
            let share = number(product, "share");
            // No product is faster than the fastest one.
            assert!(share > 0.0 && share <= 1.0 + 1e-9, "{product}");
            assert!((rate / peak / share - 1.0).abs() < 1e-9);
        }
        for (i, kernel) in on["batch_norms"].as_array().unwrap().iter().enumerate() {
            let arrays = [3.0, 5.0][i % 2];
            assert_eq!(number(kernel, "bytes"), 4.0 * arrays * sizes(kernel));
            let copy = on["copies"][i / 2]["bytes_per_second"].as_f64().unwrap();
            let rate = number(kernel, "bytes") / number(kernel, "seconds");
            assert!((rate / copy / number(kernel, "share") - 1.0).abs() < 1e-9);
        }
        let step = &on["steps"][0];
        let terms = 2.0 * 784.0 * 100.0 + 3.0 * (4.0 * 100.0 * 100.0 + 100.0 * 10.0);
        assert_eq!(number(step, "products_flops"), 2.0 * 100.0 * terms);
        // The products are a part of the step. On a busy machine they may seem to take longer.
        let share = number(step, "share");
        assert!(share > 0.05 && share < 3.0, "{share}");
    }
}
