//! The examples of tasks, layers and loops.

use crate::run::{files, is_png, json, numbers, place, reproducible, succeed};
use batchnorm::{Adam, Batches, Clip, Digits, Network, SoftmaxWithLoss, Trainer};
use serde_json::Value;

fn number(results: &Value, name: &str) -> f64 {
    results[name]
        .as_f64()
        .unwrap_or_else(|| panic!("{name}: {results}"))
}

#[test]
fn regression_fits_better_with_batch_normalization() {
    let place = place();
    let args = ["--epochs", "40", "--json", "run.json"];
    let printed = succeed("regression", &place, &args);
    assert_eq!(files(&place), ["bn-regression.png", "run.json"]);
    assert!(is_png(&place, "bn-regression.png"));
    let results = json(&place, "run.json");
    let (with, without) = (&results["batch_norm"], &results["plain"]);
    let [r2, plain] = [with, without].map(|fit| number(fit, "test_r2"));
    let limit = number(&results, "r2_of_the_function");
    assert!(r2 > 0.9 && r2 > plain + 0.05, "{r2} {plain}");
    assert!(limit > r2 && limit < 0.99, "{limit} {r2}");
    assert!(printed.contains(&format!("{r2:.4}")), "{printed}");

    // The fit is close to the function, not only to the points.
    let curve = with["curve"].as_array().unwrap();
    let errors = curve.iter().map(numbers).map(|point| {
        let (x, y) = (point[0], point[1]);
        (y - (3.0 * x).sin() - x / 2.0).abs()
    });
    let mean = errors.sum::<f64>() / curve.len() as f64;
    assert!(mean < 0.2, "{mean}");
}

#[test]
fn binary_reports_scores_that_agree_with_its_roc_curve() {
    let place = place();
    let args = ["--digits", "3,8", "--json", "run.json"];
    let printed = succeed("binary", &place, &args);
    assert_eq!(files(&place), ["bn-binary.png", "run.json"]);
    assert!(is_png(&place, "bn-binary.png"));
    let results = json(&place, "run.json");
    let [fpr, tpr] = ["fpr", "tpr"].map(|rate| numbers(&results["roc_curve"][rate]));
    let trapezoids = fpr.windows(2).zip(tpr.windows(2));
    let area: f64 = trapezoids
        .map(|(x, y)| (x[1] - x[0]) * (y[0] + y[1]) / 2.0)
        .sum();
    let auc = number(&results, "AUC");
    assert!((area - auc).abs() < 1e-12 && auc > 0.95, "{area} {auc}");
    let [precision, recall] = ["precision", "recall"].map(|name| number(&results, name));
    let f1 = 2.0 * precision * recall / (precision + recall);
    assert!((number(&results, "F1") - f1).abs() < 1e-12);
    assert!(number(&results, "accuracy") > 0.9 && precision > 0.8 && recall > 0.8);
    // Of the digits 3 and 8 only.
    let (_, test) = Digits::load().unwrap().into_parts();
    let images = test
        .labels()
        .iter()
        .filter(|label| [3, 8].contains(*label))
        .count();
    assert!(
        printed.contains(&format!("{images} test images of the classes 3")),
        "{printed}"
    );
}

#[test]
fn transfer_needs_fewer_images_than_training_from_scratch() {
    let place = place();
    let few = ["--images", "1,5", "--repeats", "3"];
    let args = [&few[..], &["--json", "run.json"]].concat();
    succeed("transfer", &place, &args);
    assert_eq!(files(&place), ["bn-transfer.png", "run.json"]);
    assert!(is_png(&place, "bn-transfer.png"));
    let results = json(&place, "run.json");
    assert!(number(&results, "first_task_test_accuracy") > 0.95);
    let rows = results["second_task"].as_array().unwrap();
    for (row, images) in rows.iter().zip([1.0, 5.0]) {
        assert_eq!(number(row, "images_per_class"), images);
        let (frozen, scratch) = (number(row, "frozen"), number(row, "from_scratch"));
        assert!(frozen > scratch + 0.01 && frozen > 0.6, "{row}");
    }
    assert!(number(&rows[1], "frozen") > number(&rows[0], "frozen"));
}

#[test]
fn layers_of_ones_own_pass_the_gradient_check_and_learn() {
    let place = place();
    let args = ["--epochs", "10", "--json", "run.json"];
    let printed = succeed("custom_layer", &place, &args);
    assert!(is_png(&place, "bn-custom-layer.png"));
    let results = json(&place, "run.json");
    assert!(number(&results, "worst_relative_difference") <= 1e-6);
    let checked = results["checked"].as_array().unwrap();
    for name in ["layers.0.weight", "layers.1.gamma", "layers.13.beta", "x"] {
        assert!(checked.iter().any(|entry| entry[0] == name), "{name}");
        assert!(printed.contains(name), "{printed}");
    }
    let accuracy = number(&results["own"], "test_accuracy");
    assert!(accuracy > 0.8, "{accuracy}");
}

#[test]
fn a_loop_of_ones_own_gives_what_the_trainer_gives() {
    let place = place();
    for accumulate in [1, 3] {
        let count = accumulate.to_string();
        let args = ["--epochs", "2", "--seed", "7", "--accumulate", &count];
        succeed(
            "custom_loop",
            &place,
            &[&args[..], &["--json", "run.json"]].concat(),
        );
        assert!(is_png(&place, "bn-custom-loop.png"));
        let results = json(&place, "run.json");

        let (train, test) = Digits::load().unwrap().into_parts();
        let network = Network::builder(64)
            .affine_without_bias(100)
            .batch_norm()
            .relu();
        let network = network.affine_without_bias(100).batch_norm().relu();
        let mut network = network.affine(10).build(7).unwrap();
        let (mut loss, mut adam) = (SoftmaxWithLoss::new(), Adam::pytorch(0.003).unwrap());
        let trainer = Trainer::new(50).epochs(2).seed(7).progress(false);
        let trainer = trainer.clip(Clip::Norm(1.0)).accumulate(accumulate);
        let history = trainer.fit(&mut network, &mut loss, &mut adam, &train, Some(&test));
        let records = history.unwrap().records;
        let accuracies: Vec<f64> = records.iter().map(|r| r.test_accuracy().unwrap()).collect();
        assert_eq!(numbers(&results["test_accuracies"]), accuracies);

        let batches = Batches::new(&train, 50, 7).unwrap().batches_per_epoch() - 1; // merged
        let updates = 2 * batches.div_ceil(accumulate);
        assert_eq!(numbers(&results["losses"]).len(), updates);
        assert!(
            numbers(&results["gradient_norms"])
                .iter()
                .any(|&norm| norm > 1.0)
        );
    }
}

#[test]
fn new_results_do_not_depend_on_the_number_of_threads() {
    for (example, args) in [
        ("regression", &["--epochs", "2"][..]),
        ("binary", &["--epochs", "1"]),
        (
            "transfer",
            &[
                "--epochs",
                "1",
                "--images",
                "2",
                "--repeats",
                "1",
                "--steps",
                "3",
            ],
        ),
        ("custom_layer", &["--epochs", "1"]),
        ("custom_loop", &["--epochs", "1"]),
        ("resnet", &["--epochs", "1", "--data", "digits"]),
    ] {
        let place = place();
        let results = |threads, seed| {
            let more = ["--threads", threads, "--seed", seed, "--json", "run.json"];
            succeed(example, &place, &[args, &more].concat());
            let mut results = reproducible(json(&place, "run.json"));
            results["seed"].take();
            results
        };
        let reference = results("1", "1");
        assert_eq!(results("3", "1"), reference, "{example}");
        assert_ne!(results("1", "2"), reference, "{example}");
    }
}
