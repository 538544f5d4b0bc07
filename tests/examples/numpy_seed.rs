//! `bn_comparison --numpy-seed` against `scripts/book_bn_comparison.py`, the book's program in NumPy.

use crate::run::{command, json, numbers, place, refuse};
use serde_json::Value;

/// Relative, in fifty steps of double precision.
const TOLERANCE: f64 = 1e-9;

#[test]
fn the_books_figure_has_the_numbers_of_numpy() {
    let Some(folder) = crate::gan::mnist() else {
        return;
    };
    let golden: Value = serde_json::from_str(include_str!("golden/numpy_seed.json")).unwrap();
    let seed = golden["made_by"]["seed"].to_string();
    let place = place();
    let args = ["--numpy-seed", &seed, "--json", "run.json"];
    let output = command("bn_comparison", &place, &args)
        .env("BN_DATA_DIR", folder)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");

    let results = json(&place, "run.json");
    assert_eq!(results["numpy_seed"], golden["made_by"]["seed"]);
    assert!(results["seed"].is_null());
    let (panels, golden) = (&results["panels"], golden["panels"].as_array().unwrap());
    assert_eq!(panels.as_array().unwrap().len(), 16);
    assert_eq!(golden.len(), 16);
    for (panel, golden) in panels.as_array().unwrap().iter().zip(golden) {
        for name in ["batch_norm", "plain"] {
            let what = format!("{name} of {}", golden["weight_init_std"]);
            let want = golden[name]["losses"].as_array().unwrap().iter();
            let want: Vec<f64> = want.map_while(Value::as_f64).collect();
            let got = numbers(&panel["first_losses"][name]);
            // Weights whose gradients are not finite are not changed here; NumPy's loss becomes NaN.
            let stopped = got.len() < 50;
            assert!(stopped == (want.len() < 50), "{what}");
            assert!(want.len() - got.len() <= 1, "{what}");
            for (step, (got, want)) in got.iter().zip(&want).enumerate() {
                let error = (got / want - 1.0).abs();
                assert!(error < TOLERANCE, "{what}, step {step}: {got}, not {want}");
            }
            if !stopped {
                let accuracies = &golden[name]["accuracies"];
                assert_eq!(numbers(&panel[name]), numbers(accuracies), "{what}");
            }
        }
    }
}

#[test]
fn one_seed_is_enough() {
    let args = ["--seed", "1", "--numpy-seed", "1"];
    let errors = refuse("bn_comparison", &place(), &args);
    let text = "'--seed <SEED>' cannot be used with '--numpy-seed <NUMPY_SEED>'";
    assert!(errors.contains(text), "{errors}");
}
