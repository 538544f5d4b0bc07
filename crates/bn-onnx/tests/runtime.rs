use crate::networks::{all, batch, channels_first, export_only};
use bn_onnx::save;
use serde_json::json;
use std::process::Command;

/// Runs with `BN_PYTHON=python3`, where onnx and onnxruntime are installed.
#[test]
fn onnxruntime_computes_the_same() {
    let Ok(python) = std::env::var("BN_PYTHON") else {
        println!("skipped: BN_PYTHON does not name a Python with onnx and onnxruntime");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for (i, case) in all().into_iter().chain(export_only()).enumerate() {
        let (network, rows) = (&case.network, 3);
        let path = folder.path().join(format!("{i:03} {}.onnx", case.name));
        save(network, &path).unwrap();
        let x = batch(network, rows);
        let y = network.predict(x.view()).unwrap();
        let x = channels_first(x.view(), network.input());
        let y = channels_first(y.view(), network.output());
        let (x, y): (Vec<f32>, Vec<f32>) = (x.into_iter().collect(), y.into_iter().collect());
        let data = json!({ "rows": rows, "x": x, "y": y }).to_string();
        std::fs::write(path.with_extension("json"), data).unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/check_export.py");
    let output = Command::new(&python)
        .arg(script)
        .arg(folder.path())
        .output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {python}: {error}"));
    let (text, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    println!("{text}");
    assert!(output.status.success(), "{text}{errors}");
}
