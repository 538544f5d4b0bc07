//! The memory of an import is bounded by the number of bytes, as `from_bytes` says.

use crate::hostile::{array, field, model, model_of, node};
use bn_onnx::from_bytes;

const FACTOR: u64 = 2000;
const CONSTANT: u64 = 2 << 20;

/// Returns whether the model was read.
fn check(name: &str, bytes: &[u8]) -> bool {
    let (len, mut is_read) = (bytes.len() as u64, false);
    let most = allocation_counter::measure(|| is_read = from_bytes(bytes).is_ok()).bytes_max;
    println!("{name}: {} bytes of memory for one", most / len);
    assert!(
        most <= FACTOR * len + CONSTANT,
        "{name}: {most} bytes of memory for {len}"
    );
    is_read
}

/// So many empty messages in this field.
fn empty(number: u32, count: usize) -> Vec<u8> {
    field(number, &[]).repeat(count)
}

#[test]
fn empty_messages_take_a_bounded_factor() {
    let count = 33_000; // a vector has just grown
    for number in [1, 5, 11, 12] {
        check("in the graph", &field(7, &empty(number, count)));
    }
    for number in [8, 14] {
        check("in the model", &empty(number, count));
    }
    for number in [1, 2, 5] {
        check("in a node", &field(7, &field(1, &empty(number, count))));
    }
    let dims = field(2, &field(1, &field(2, &empty(1, count))));
    check("of a shape", &field(7, &field(11, &dims)));
    let ints = field(8, &vec![0; count]);
    check("integers", &field(7, &field(1, &field(5, &ints))));
}

/// A model of rows whose `count` nodes follow each other, and which has one array.
fn chain(
    width: u64,
    count: usize,
    array: Vec<u8>,
    node_of: impl Fn(&str, &str) -> Vec<u8>,
) -> Vec<u8> {
    let name = |i| match i {
        0 => "x".to_owned(),
        i if i == count => "y".to_owned(),
        i => format!("{i:x}"),
    };
    let nodes = (0..count).map(|i| node_of(&name(i), &name(i + 1)));
    let parts: Vec<Vec<u8>> = nodes.chain([array]).collect();
    model(width, &parts)
}

#[test]
fn many_small_layers_take_a_bounded_factor() {
    let one = |dims: &[u64]| array("w", dims, &[1.0]);
    let relu = |from: &str, to: &str| node("Relu", &[from], to);
    let minus = |from: &str, to: &str| node("Sub", &[from, "w"], to);
    let matmul = |from: &str, to: &str| node("MatMul", &[from, "w"], to);
    let batch_norm =
        |from: &str, to: &str| node("BatchNormalization", &[from, "w", "w", "w", "w"], to);
    for (name, bytes) in [
        ("relu", chain(1, 3000, one(&[1]), relu)),
        ("minus", chain(1, 3000, one(&[1]), minus)),
        ("matmul", chain(1, 3000, one(&[1, 1]), matmul)),
        ("batch norm", chain(1, 3000, one(&[1]), batch_norm)),
    ] {
        assert!(check(name, &bytes));
    }
    let names: Vec<String> = (0..3000).map(|i| format!("{i:x}")).collect();
    let mut parts: Vec<Vec<u8>> = names.iter().map(|n| node("Tanh", &["x"], n)).collect();
    let inputs: Vec<&str> = names.iter().map(String::as_str).collect();
    parts.push(node("Concat", &inputs, "y"));
    assert!(check("concat", &model(1, &parts)));
}

#[test]
fn residual_blocks_take_a_bounded_factor() {
    let block = |from: &str, to: &str| {
        let body = format!("t{from}");
        [
            node("Tanh", &[from], &body),
            node("Add", &[from, &body], to),
        ]
        .concat()
    };
    assert!(check("residual blocks", &chain(1, 1500, Vec::new(), block)));
    // Layers inside eight residual blocks.
    let name = |i: usize| match i {
        0 => "x".to_owned(),
        i => format!("{i:x}"),
    };
    let (depth, inner) = (8, 1000);
    for (operator, input) in [("Sub", &[1, 1][..]), ("Conv", &[1, 1, 1, 1])] {
        let layer = |i| node(operator, &[&name(i), "w"], &name(i + 1));
        let mut parts: Vec<Vec<u8>> = (0..inner).map(layer).collect();
        parts.push(array("w", input, &[1.0]));
        for i in 0..depth {
            let from = if i == 0 { name(inner) } else { format!("s{i}") };
            let to = if i + 1 == depth {
                "y".to_owned()
            } else {
                format!("s{}", i + 1)
            };
            parts.push(node("Add", &[&from, &name(depth - 1 - i)], &to));
        }
        assert!(check(operator, &model_of(input, &parts)));
    }
}

#[test]
fn shared_arrays_take_a_bounded_factor() {
    for width in [8, 64, 128] {
        let w = array("w", &[width, width], &vec![0.5; (width * width) as usize]);
        for count in [1, 3, 10, 30, 100] {
            let matmul = |from: &str, to: &str| node("MatMul", &[from, "w"], to);
            let bytes = chain(width, count, w.clone(), matmul);
            check(&format!("{count} of {width}"), &bytes);
        }
    }
}
