//! Bytes as a state_dict of PyTorch: a network that takes one writes it and takes it again, and a network that refuses
//! one is unchanged.

#![no_main]

mod memory;
mod seeds;

use bn_layers::{BatchNormConfig, Conv2dConfig, LayerExt};
use bn_net::Network;
use bn_torch::{from_bytes, to_bytes};
use libfuzzer_sys::fuzz_target;
use memory::Bound;
use std::sync::{LazyLock, Mutex};

/// As documented: the shapes in a header take the most, two bytes of text for a number of eight bytes.
const BOUND: Bound = Bound {
    factor: 100,
    constant: 64 << 10,
};

/// A network and what it has. It stays as it is from one input to the next.
static NETWORK: LazyLock<Mutex<(Network, State)>> = LazyLock::new(|| {
    let network = network(1);
    let state = state(&network);
    Mutex::new((network, state))
});

fuzz_target!(init: seeds::write(seeds), |bytes: &[u8]| {
    read(bytes);
    // The same as a header and the rest, parted by a zero byte, so that the header's length is right.
    if let Some(at) = bytes.iter().position(|&byte| byte == 0) {
        let (header, rest) = (&bytes[..at], &bytes[at + 1..]);
        read(&[&(at as u64).to_le_bytes(), header, rest].concat());
    }
});

fn read(bytes: &[u8]) {
    let mut network = NETWORK.lock().expect("a panic ends the program");
    let (network, before) = &mut *network;
    if BOUND
        .check(bytes.len(), || from_bytes(bytes, network))
        .is_err()
    {
        assert_eq!(state(network), *before);
        return;
    }
    let written = to_bytes(network).expect("what was read can be written");
    let mut again = self::network(2);
    from_bytes(&written, &mut again).expect("what was written is read");
    assert_eq!(state(&again), state(network));
    assert!(to_bytes(&again).expect("written before") == written);
    *network = self::network(1);
}

/// With every kind of state, and an image whose order differs in PyTorch.
fn network(seed: u64) -> Network {
    let builder = Network::builder((2, 2, 2))
        .conv2d(Conv2dConfig::new(2, 1))
        .batch_norm_with(BatchNormConfig::pytorch())
        .relu()
        .flatten()
        .affine(2);
    builder.build(seed).expect("the layers fit")
}

/// Parameters and running statistics, by their bits, and counters.
type State = (Vec<u32>, Vec<u64>);

fn state(network: &Network) -> State {
    let (mut values, mut counters) = (Vec::new(), Vec::new());
    network.visit(&mut |p| values.extend(p.value.iter().map(|v| v.to_bits())));
    network.visit_counters(&mut |_, count| counters.push(count));
    (values, counters)
}

fn seeds() -> Vec<Vec<u8>> {
    let bytes = to_bytes(&network(3)).expect("it can be written");
    let mut parted = bytes[8..].to_vec();
    let header = u64::from_le_bytes(*bytes.first_chunk().expect("the length of the header"));
    parted.insert(header as usize, 0);
    let other_types = ["F16", "BF16", "F64"].map(|element| {
        let text = format!(
            r#"{{"__metadata__":{{"format":"pt"}},"4.bias":{{"dtype":"{element}","shape":[2],"data_offsets":[0,4]}}}}"#
        );
        [text.as_bytes(), &[0; 5]].concat()
    });
    let mut seeds = vec![bytes, parted];
    seeds.extend(other_types);
    seeds
}
