//! Bytes that are no model, or one that lies.

use bn_net::Network;
use bn_onnx::{from_bytes, to_bytes};

fn small() -> Vec<u8> {
    let network = Network::builder((3, 3, 2))
        .conv2d(bn_layers::Conv2dConfig::new(2, 2))
        .batch_norm()
        .relu()
        .residual(|b| b.conv2d(bn_layers::Conv2dConfig::new(2, 1)))
        .affine(2)
        .build(1)
        .unwrap();
    to_bytes(&network).unwrap()
}

#[test]
fn a_truncated_file_is_refused() {
    let bytes = small();
    assert!(from_bytes(&bytes).is_ok());
    for len in 0..bytes.len() {
        let result = from_bytes(&bytes[..len]);
        // The last field is the version of the operators, without which there is no model.
        assert!(result.is_err(), "the first {len} of {} bytes", bytes.len());
    }
}

#[test]
fn a_changed_byte_is_an_error_or_another_network() {
    let bytes = small();
    let (mut refused, mut read) = (0, 0);
    for i in 0..bytes.len() {
        for flip in [0x01, 0x10, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[i] ^= flip;
            match from_bytes(&bytes) {
                Ok(network) => {
                    read += 1;
                    // Whatever was read can be written again.
                    to_bytes(&network).unwrap();
                }
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }
    assert!(
        refused > 500 && read > 500,
        "{refused} refused, {read} read"
    );
}

/// A field of the wire format with bytes.
pub(crate) fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = varint(u64::from(number << 3 | 2));
    bytes.extend(varint(content.len() as u64));
    bytes.extend(content);
    bytes
}

fn number(field: u32, value: u64) -> Vec<u8> {
    let mut bytes = varint(u64::from(field << 3));
    bytes.extend(varint(value));
    bytes
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

pub(crate) fn node(operator: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    inputs
        .iter()
        .for_each(|input| bytes.extend(field(1, input.as_bytes())));
    bytes.extend(field(2, output.as_bytes()));
    bytes.extend(field(4, operator.as_bytes()));
    field(1, &bytes)
}

pub(crate) fn array(name: &str, dims: &[u64], values: &[f32]) -> Vec<u8> {
    let mut bytes: Vec<u8> = dims.iter().flat_map(|&dim| number(1, dim)).collect();
    bytes.extend(number(2, 1));
    bytes.extend(field(8, name.as_bytes()));
    let raw: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    bytes.extend(field(9, &raw));
    field(5, &bytes)
}

fn value(field_number: u32, name: &str, dims: &[u64]) -> Vec<u8> {
    let dims: Vec<u8> = dims
        .iter()
        .flat_map(|&dim| field(1, &number(1, dim)))
        .collect();
    let tensor = [number(1, 1), field(2, &dims)].concat();
    let of_type = field(2, &field(1, &tensor));
    field(field_number, &[field(1, name.as_bytes()), of_type].concat())
}

/// A model with the input `x: (1, width)` and the output `y`.
pub(crate) fn model(width: u64, parts: &[Vec<u8>]) -> Vec<u8> {
    model_of(&[1, width], parts)
}

/// A model with the input `x` of these dimensions and the output `y`.
pub(crate) fn model_of(input: &[u64], parts: &[Vec<u8>]) -> Vec<u8> {
    let ends = [value(11, "x", input), value(12, "y", input)].concat();
    let graph = [parts.concat(), ends].concat();
    [number(1, 8), field(7, &graph), field(8, &number(2, 17))].concat()
}

fn refusal(bytes: &[u8]) -> String {
    match from_bytes(bytes) {
        Ok(_) => panic!("it was read"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_model_by_hand_is_read() {
    let w = array("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let bytes = model(
        2,
        &[
            node("MatMul", &["x", "w"], "m"),
            node("Relu", &["m"], "y"),
            w,
        ],
    );
    let y = from_bytes(&bytes)
        .unwrap()
        .predict(ndarray::array![[1.0, -1.0]].view())
        .unwrap();
    assert_eq!(y, ndarray::array![[0.0, 0.0]]);
}

#[test]
fn cycles_are_refused() {
    let around = model(
        2,
        &[
            node("Relu", &["x"], "a"),
            node("Relu", &["a"], "x"),
            node("Relu", &["a"], "y"),
        ],
    );
    assert!(
        refusal(&around).contains("have the name \"x\""),
        "{}",
        refusal(&around)
    );
    let joined = model(
        2,
        &[
            node("Add", &["x", "b"], "a"),
            node("Relu", &["a"], "b"),
            node("Relu", &["b"], "y"),
        ],
    );
    assert!(
        refusal(&joined).contains("not branches of one value"),
        "{}",
        refusal(&joined)
    );
    let apart = model(
        2,
        &[
            node("Relu", &["b"], "a"),
            node("Relu", &["a"], "b"),
            node("Relu", &["x"], "y"),
        ],
    );
    assert!(from_bytes(&apart).is_ok()); // of nodes that nothing needs
}

#[test]
fn missing_arrays_and_wrong_shapes_are_refused() {
    let matmul = || node("MatMul", &["x", "w"], "y");
    let missing = refusal(&model(2, &[matmul()]));
    assert!(missing.contains("nothing produces \"w\""), "{missing}");
    let narrow = refusal(&model(3, &[matmul(), array("w", &[2, 2], &[0.0; 4])]));
    assert!(
        narrow.contains("rows of 2 values, but the rows have 3"),
        "{narrow}"
    );
    let lies = refusal(&model(2, &[matmul(), array("w", &[2, 1 << 30], &[0.0; 4])]));
    assert!(lies.contains("but 4 values"), "{lies}");
    let vast = refusal(&model(
        2,
        &[matmul(), array("w", &[1 << 40, 1 << 40], &[0.0; 4])],
    ));
    assert!(vast.contains("has the dimensions"), "{vast}");
    let negative = refusal(&model(
        2,
        &[matmul(), array("w", &[2, u64::MAX], &[0.0; 4])],
    ));
    assert!(negative.contains("has the dimensions"), "{negative}");
    let wide = refusal(&model(u64::MAX >> 1, &[node("Relu", &["x"], "y")]));
    assert!(wide.contains("more than can be allocated"), "{wide}");
}

#[test]
fn branches_that_do_not_fit_are_refused() {
    let w = || array("w", &[2, 3], &[0.5; 6]);
    let wide = model(
        2,
        &[
            node("MatMul", &["x", "w"], "m"),
            node("Add", &["m", "x"], "y"),
            w(),
        ],
    );
    assert!(
        refusal(&wide).contains("have the shapes 3 and 2"),
        "{}",
        refusal(&wide)
    );
    let twice = model(2, &[node("Add", &["x", "x"], "y")]);
    assert!(
        refusal(&twice).contains("not the branches of one value"),
        "{}",
        refusal(&twice)
    );
    let product = model(
        2,
        &[node("Tanh", &["x"], "a"), node("Mul", &["a", "x"], "y")],
    );
    assert!(
        refusal(&product).contains("by an Add of two or by a Concat"),
        "{}",
        refusal(&product)
    );
}

#[test]
fn arrays_shared_by_many_nodes_are_bounded() {
    let width = 256;
    let mut parts = vec![array(
        "w",
        &[width, width],
        &vec![0.5; (width * width) as usize],
    )];
    let mut from = "x".to_owned();
    for i in 0..200 {
        let to = if i == 199 {
            "y".to_owned()
        } else {
            format!("v{i}")
        };
        parts.push(node("MatMul", &[&from, "w"], &to));
        from = to;
    }
    assert!(refusal(&model(width, &parts)).contains("larger than the file"));
}

#[test]
fn deep_nesting_is_refused() {
    // A group of fields inside itself, and branches inside branches.
    let mut groups = vec![0x0b; 100_000];
    groups.extend(vec![0x0c; 100_000]);
    refusal(&groups);
    let mut graph = Vec::new();
    (0..20_000).for_each(|_| graph = field(7, &graph[..graph.len().min(1000)]));
    refusal(&graph);
    for (depth, works) in [(8, true), (9, false), (2_000, false)] {
        let mut parts = Vec::new();
        let name = |i: usize| {
            if i == 0 {
                "x".to_owned()
            } else {
                format!("v{i}")
            }
        };
        for i in 0..depth {
            parts.push(node("Tanh", &[&name(i)], &name(i + 1)));
        }
        parts.push(node("Relu", &[&name(depth)], "s0"));
        for i in 0..depth {
            let sum = if i + 1 == depth {
                "y".to_owned()
            } else {
                format!("s{}", i + 1)
            };
            parts.push(node("Add", &[&format!("s{i}"), &name(depth - 1 - i)], &sum));
        }
        let result = from_bytes(&model(2, &parts));
        assert_eq!(result.is_ok(), works, "{depth}: {:?}", result.err());
    }
}

/// A node with the setting `name`, whose numbers are all `value`.
fn node_with(operator: &str, inputs: &[&str], name: &str, value: u64, count: usize) -> Vec<u8> {
    let ints: Vec<u8> = (0..count).flat_map(|_| number(8, value)).collect();
    let setting = [
        field(1, name.as_bytes()),
        number(3, value),
        ints,
        number(20, 7),
    ]
    .concat();
    let plain = node(operator, inputs, "y");
    let content = plain
        .iter()
        .position(|&byte| byte == 0x0a)
        .map(|_| &plain[2..])
        .unwrap();
    field(1, &[content, &field(5, &setting)].concat())
}

#[test]
fn settings_of_any_size_are_errors_or_layers() {
    let image = |parts: &[Vec<u8>]| {
        let ends = [value(11, "x", &[1, 2, 5, 4]), value(12, "y", &[1])].concat();
        let graph = [parts.concat(), ends].concat();
        [number(1, 8), field(7, &graph), field(8, &number(2, 22))].concat()
    };
    let w = || array("w", &[2, 2, 2, 2], &[0.5; 16]);
    assert!(from_bytes(&image(&[node("Conv", &["x", "w"], "y"), w()])).is_ok());
    let mut refused = 0;
    for operator in [
        "Conv",
        "ConvTranspose",
        "MaxPool",
        "AveragePool",
        "Transpose",
        "Concat",
        "Softmax",
        "ReduceMean",
    ] {
        for (name, count) in [
            ("kernel_shape", 2),
            ("strides", 2),
            ("dilations", 2),
            ("pads", 4),
            ("output_padding", 2),
            ("group", 1),
            ("axis", 1),
            ("axes", 2),
            ("perm", 4),
        ] {
            for value in [
                0,
                1,
                2,
                3,
                1 << 31,
                1 << 32,
                (1 << 62) + 1,
                u64::MAX >> 1,
                u64::MAX,
            ] {
                let inputs: &[&str] = if operator.starts_with("Conv") {
                    &["x", "w"]
                } else {
                    &["x"]
                };
                let bytes = image(&[node_with(operator, inputs, name, value, count), w()]);
                match from_bytes(&bytes) {
                    Ok(network) => drop(to_bytes(&network).unwrap()),
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(refused > 200, "{refused}");
}

#[test]
fn arrays_without_values_and_vast_inputs_do_not_allocate() {
    let side = 1 << 20;
    let graph = |input: &[u64], parts: &[Vec<u8>]| {
        let ends = [value(11, "x", input), value(12, "y", &[1])].concat();
        let graph = [parts.concat(), ends].concat();
        [number(1, 8), field(7, &graph), field(8, &number(2, 17))].concat()
    };
    let empty = array("w", &[side, side, side, 0], &[]);
    refusal(&graph(
        &[1, 2, 5, 4],
        &[node("Conv", &["x", "w"], "y"), empty],
    ));
    let empty = array("w", &[1 << 40, 0], &[]);
    let after_flatten = [
        node("Flatten", &["x"], "f"),
        node("MatMul", &["f", "w"], "y"),
        empty,
    ];
    let error = refusal(&graph(&[1, 1 << 20, 1 << 10, 1 << 10], &after_flatten));
    assert!(error.contains("has no values"), "{error}");
    refusal(&graph(
        &[1, 1 << 40, 1 << 40, 1],
        &[node("Relu", &["x"], "y")],
    ));
    // A vast row that becomes an image.
    let mut dims = number(1, 4);
    dims.extend(number(2, 7));
    dims.extend(field(8, b"shape"));
    let sizes = [0i64, 1 << 10, 1 << 10, 1 << 20];
    dims.extend(field(
        9,
        &sizes
            .iter()
            .flat_map(|size| size.to_le_bytes())
            .collect::<Vec<u8>>(),
    ));
    let parts = [
        node("Reshape", &["x", "shape"], "r"),
        node("Relu", &["r"], "y"),
        field(5, &dims),
    ];
    let error = refusal(&graph(&[1, 1 << 40], &parts));
    assert!(error.contains("needs a Gemm before it"), "{error}");
}

#[test]
fn many_branches_take_little_time() {
    let count = 20_000;
    let mut parts: Vec<Vec<u8>> = (0..count)
        .map(|i| node("Tanh", &["x"], &format!("v{i}")))
        .collect();
    let names: Vec<String> = (0..count).map(|i| format!("v{i}")).collect();
    let mut concat = names
        .iter()
        .flat_map(|name| field(1, name.as_bytes()))
        .collect::<Vec<u8>>();
    concat.extend(field(2, b"y"));
    concat.extend(field(4, b"Concat"));
    parts.push(field(1, &concat));
    let start = std::time::Instant::now();
    assert_eq!(
        from_bytes(&model(2, &parts)).unwrap().output().size(),
        2 * count
    );
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
