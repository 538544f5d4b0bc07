//! Reads the golden files of `tests/golden`, and runs tests in a process of their own.

#[path = "../../../bn-tensor/tests/common/child.rs"]
pub(crate) mod child;

pub(crate) mod checkpoints;
pub(crate) mod failing_layer;

use ndarray::Array2;
use serde_json::Value;

/// A golden file, by its text.
pub(crate) fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("a golden file is JSON")
}

/// The numbers of `{"shape": …, "data": […]}`, or of a plain list.
pub(crate) fn numbers(v: &Value) -> Vec<f64> {
    let list = v.get("data").unwrap_or(v);
    match list.as_array() {
        Some(rows) if rows.iter().all(Value::is_array) && !rows.is_empty() => {
            rows.iter().flat_map(numbers).collect()
        }
        Some(values) => values.iter().map(|v| v.as_f64().unwrap()).collect(),
        None => panic!("not an array: {v}"),
    }
}

/// A matrix `{"shape": [N, D], "data": […]}`.
pub(crate) fn matrix(v: &Value) -> Array2<f64> {
    let shape = numbers(&v["shape"]);
    let shape = (shape[0] as usize, shape[1] as usize);
    Array2::from_shape_vec(shape, numbers(v)).unwrap()
}

pub(crate) fn labels(v: &Value) -> Vec<usize> {
    numbers(v).into_iter().map(|l| l as usize).collect()
}

pub(crate) fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or_else(|| panic!("not a number: {v}"))
}

/// Panics unless `|got − want| ≤ tolerance·max(1, |want|)` everywhere.
pub(crate) fn assert_close<'a>(
    what: &str,
    got: impl IntoIterator<Item = &'a f64>,
    want: impl IntoIterator<Item = &'a f64>,
    tolerance: f64,
) {
    let (got, want): (Vec<_>, Vec<_>) = (got.into_iter().collect(), want.into_iter().collect());
    assert_eq!(got.len(), want.len(), "{what}: length");
    for (i, (g, w)) in got.into_iter().zip(want).enumerate() {
        let error = (g - w).abs() / w.abs().max(1.0);
        assert!(
            error <= tolerance,
            "{what}[{i}]: got {g:e}, want {w:e}, error {error:e}"
        );
    }
}
