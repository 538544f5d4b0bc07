//! Bytes that are no state_dict, or one that lies.

use bn_net::Network;
use bn_torch::{from_bytes, to_bytes};

fn small() -> Network {
    let b = Network::builder((2, 2, 2)).conv2d(bn_layers::Conv2dConfig::new(2, 2));
    b.batch_norm().affine(2).build(1).unwrap()
}

#[test]
fn a_truncated_file_is_refused() {
    let (mut network, bytes) = (small(), to_bytes(&small()).unwrap());
    for len in 0..bytes.len() {
        assert!(from_bytes(&bytes[..len], &mut network).is_err(), "{len}");
    }
    assert_eq!(to_bytes(&network).unwrap(), bytes);
}

#[test]
fn a_changed_byte_is_an_error_or_another_network() {
    let original = to_bytes(&small()).unwrap();
    let (mut refused, mut read) = (0, 0);
    for i in 0..original.len() {
        for flip in [0x01, 0x10, 0x80, 0xff] {
            let (mut network, mut bytes) = (small(), original.clone());
            bytes[i] ^= flip;
            match from_bytes(&bytes, &mut network) {
                Ok(()) => read += 1,
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().is_empty());
                    assert_eq!(to_bytes(&network).unwrap(), original);
                }
            }
        }
    }
    assert!(refused > 500 && read > 500, "{refused}, {read}");
}

fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(vec![0; data]);
    bytes
}

#[test]
fn a_header_that_lies_is_refused() {
    let mut network = small();
    let mut refused = |bytes: &[u8]| from_bytes(bytes, &mut network).unwrap_err().to_string();
    let tensor = |shape: &str, offsets: &str| {
        format!(r#"{{"0.bias":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    for (shape, offsets) in [
        ("[2]", "[0,16]"),
        ("[4611686018427387904,4]", "[0,8]"),
        ("[2]", "[8,0]"),
        ("[2]", "[0,18446744073709551615]"),
    ] {
        let error = refused(&file(&tensor(shape, offsets), 8));
        assert!(error.starts_with("not a safetensors file"), "{error}");
    }
    // A size of 0 hides one that is too large.
    refused(&file(&tensor("[0,18446744073709551615]", "[0,0]"), 0));
    refused(&u64::MAX.to_le_bytes());
    refused(&file(&"[".repeat(100_000), 0));
    let two = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
    refused(&file(two, 12));
}
