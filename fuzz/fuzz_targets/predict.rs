//! Bytes, after one byte of options, as the body of a request to a server: what is read is written and read again.

#![no_main]

mod memory;
mod seeds;

use bn_layers::Shape;
use bn_serve::{PredictRequest, SampleRequest};
use libfuzzer_sys::fuzz_target;
use memory::Bound;
use ndarray::Array2;

/// As documented: a string that is refused takes the most, in the message with its escaped characters.
const BOUND: Bound = Bound {
    factor: 25,
    constant: 4 << 10,
};

const MAX_ROWS: usize = 3;

fuzz_target!(init: seeds::write(seeds), |bytes: &[u8]| {
    let Some((&options, body)) = bytes.split_first() else {
        return;
    };
    match options & 7 {
        0 => predict(body, 3.into()),
        1 => predict(body, 1.into()),
        2 | 3 => predict(body, (2, 2, 1).into()),
        4 | 5 => predict(body, (2, 1, 3).into()),
        _ => sample(body),
    }
});

fn predict(body: &[u8], input: Shape) {
    let parse = || PredictRequest::parse(body, input, MAX_ROWS);
    let Ok(request) = BOUND.check(body.len(), parse) else {
        return;
    };
    check(&request.x, input.size());
    let more = format!(r#", "prepared": {}"#, request.is_prepared);
    let again = written("rows", &request.x, &more);
    let again = PredictRequest::parse(again.as_bytes(), input, MAX_ROWS);
    assert_eq!(again.expect("what was written is read"), request);
}

fn sample(body: &[u8]) {
    let width = 2;
    let parse = || SampleRequest::parse(body, width, MAX_ROWS);
    let Ok(request) = BOUND.check(body.len(), parse) else {
        return;
    };
    check(&request.noise, width);
    let again = written("noise", &request.noise, "");
    let again = SampleRequest::parse(again.as_bytes(), width, MAX_ROWS);
    assert_eq!(again.expect("what was written is read"), request);
}

fn check(x: &Array2<f32>, columns: usize) {
    assert!((1..=MAX_ROWS).contains(&x.nrows()));
    assert_eq!(x.ncols(), columns);
    assert!(x.iter().all(|v| v.is_finite()));
}

fn written(key: &str, x: &Array2<f32>, more: &str) -> String {
    let rows: Vec<Vec<f32>> = x.rows().into_iter().map(|row| row.to_vec()).collect();
    format!(r#"{{"{key}":{rows:?}{more}}}"#)
}

fn seeds() -> Vec<Vec<u8>> {
    let bodies = [
        (0, r#"{"rows": [[0.5, -1e-3, 2], [1, 2, 3]]}"#),
        (0, r#"{"image": [1, 2, 3], "prepared": true}"#),
        (0, r#"{"rows": "three", "image": null}"#),
        (1, r#"{"images": [[1], [18446744073709551615]]}"#),
        (2, r#"{"images": [[[0, 255], [0, 0]], [[255, 0], [0, 0]]]}"#),
        (2, r#"{"image": [[[1], [2]], [[3], [4]]], "rows": null}"#),
        (3, r#"{"image": [1, 2, 3, 4]}"#),
        (4, r#"{"images": [[[[1, 2, 3]], [[4, 5, 6]]]]}"#),
        (5, r#"{"rows": [[1, 2, 3, 4, 5, 6]]}"#),
        (6, r#"{"noise": [[0.5, -1], [1e-7, 3.5]]}"#),
        (7, r#"{"count": 3, "seed": 7}"#),
        (7, r#"{"count": 1, "noise": null}"#),
    ];
    bodies
        .iter()
        .map(|&(options, body)| [&[options], body.as_bytes()].concat())
        .collect()
}
