use crate::{
    cases::{refused, supported},
    networks::{batch, channels_first},
};
use bn_layers::Shape;
use serde_json::json;
use std::process::Command;

#[test]
fn a_layer_without_a_module_is_refused_by_name() {
    for (case, reason) in refused() {
        let error = bn_torch::sequential(&case.network).unwrap_err().to_string();
        assert!(error.starts_with(reason), "{}: {error}", case.name);
        let again = bn_torch::to_bytes(&case.network).unwrap_err().to_string();
        assert_eq!(again, error);
    }
}

/// Runs with `BN_PYTHON=python3`, where torch and safetensors are installed.
#[test]
fn pytorch_computes_the_same() {
    let Ok(python) = std::env::var("BN_PYTHON") else {
        println!("skipped: BN_PYTHON does not name a Python with torch and safetensors");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for (i, case) in supported().into_iter().enumerate() {
        let (network, rows) = (&case.network, 3);
        let path = folder.path().join(format!("{i:03} {}.py", case.name));
        let source = bn_torch::sequential(network);
        let source = source.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        std::fs::write(&path, source).unwrap();
        bn_torch::save(network, path.with_extension("safetensors")).unwrap();
        let x = batch(network, rows);
        let y = network.predict(x.view()).unwrap();
        let x = channels_first(x.view(), network.input());
        let y = channels_first(y.view(), network.output());
        let (x, y): (Vec<f32>, Vec<f32>) = (x.into_iter().collect(), y.into_iter().collect());
        let shape = match network.input() {
            Shape::Flat(size) => vec![rows, size],
            Shape::Image {
                height,
                width,
                channels,
            } => vec![rows, channels, height, width],
        };
        let data = json!({ "shape": shape, "x": x, "y": y }).to_string();
        std::fs::write(path.with_extension("json"), data).unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/check_module.py");
    let output = Command::new(&python)
        .arg(script)
        .arg(folder.path())
        .output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {python}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
}
