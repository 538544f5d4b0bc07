//! Bytes as a checkpoint: what is read is written as the same bytes, a state that is restored comes back,
//! and a state that is refused changes nothing.

#![no_main]

mod memory;
mod seeds;

use bn_net::{Adam, Checkpoint, Error, Model, Network, NetworkBuilder, SoftmaxWithLoss};
use libfuzzer_sys::fuzz_target;
use memory::Bound;
use ndarray::array;

/// A header is JSON text, whose values take more memory than the text, and blocks inside blocks are copied.
const BOUND: Bound = Bound {
    factor: 500,
    constant: 256 << 10,
};

fuzz_target!(init: seeds::write(seeds), |bytes: &[u8]| {
    read(bytes);
    // The same as a header and the rest, parted by a zero byte, so that the header's length is right.
    if let Some(at) = bytes.iter().position(|&byte| byte == 0) {
        let (header, rest) = (&bytes[..at], &bytes[at + 1..]);
        read(&[&(at as u64).to_le_bytes(), header, rest].concat());
    }
});

fn read(bytes: &[u8]) {
    let Ok(checkpoint) = BOUND.check(bytes.len(), || Checkpoint::from_bytes(bytes)) else {
        return;
    };
    let saved = checkpoint.to_bytes().expect("what was read can be written");
    let again = Checkpoint::from_bytes(&saved).expect("what was written is read");
    assert!(again == checkpoint);
    assert_eq!(again.to_bytes().expect("written before"), saved);

    for name in checkpoint.network_names() {
        // A network that can be built from its description is stored again as it was.
        if let Ok(network) = BOUND.check(bytes.len(), || checkpoint.network::<f32>(&name)) {
            let mut stored = Checkpoint::new();
            stored.add_network("built", &network).expect("a new name");
            let built = stored.network::<f32>("built").expect("it was built before");
            let [first, second] = [&network, &built].map(|network| network.spec().ok());
            assert_eq!(first, second);
        }
    }

    let _ = BOUND.check(bytes.len(), || Model::<f32>::from_checkpoint(&checkpoint));

    let (mut network, mut adam) = parts();
    let before = state(&network, &adam);
    let of_network = checkpoint.restore_network("network", &mut network);
    if of_network.is_err() {
        assert!(state(&network, &adam) == before);
    }
    let before = state(&network, &adam);
    let of_adam = checkpoint.restore_optimizer("adam", &mut adam, &network);
    if of_adam.is_err() {
        assert!(state(&network, &adam) == before);
    }
    if of_network.is_err() && of_adam.is_err() {
        return;
    }
    // What was restored is stored and restored again.
    let stored = state(&network, &adam);
    let (mut other, mut other_adam) = parts();
    stored
        .restore_network("network", &mut other)
        .expect("a network takes its own state");
    stored
        .restore_optimizer("adam", &mut other_adam, &other)
        .expect("an optimizer takes its own state");
    assert!(state(&other, &other_adam) == stored);
    // A step goes well and leaves finite values, or it fails and changes nothing.
    match step(&mut network, &mut adam) {
        Ok(_) => assert!(
            state(&network, &adam)
                .restore_optimizer("adam", &mut other_adam, &network)
                .is_ok()
        ),
        Err(_) => assert!(state(&network, &adam) == stored),
    }
}

/// With every kind of state: weights, running statistics, counters, moments.
fn parts() -> (Network, Adam<f32>) {
    let network = Network::builder(2).affine(2).batch_norm().dropout(0.5);
    let network = network.build(1).expect("the layers fit");
    (network, Adam::book(0.01).expect("a learning rate"))
}

/// Residual blocks inside each other.
fn nested(builder: NetworkBuilder, depth: usize) -> NetworkBuilder {
    match depth {
        0 => builder.relu(),
        _ => builder.residual(move |body| nested(body, depth - 1)),
    }
}

fn state(network: &Network, adam: &Adam<f32>) -> Checkpoint {
    let mut checkpoint = Checkpoint::new();
    checkpoint
        .add_network("network", network)
        .and_then(|()| checkpoint.add_optimizer::<f32>("adam", adam))
        .expect("names that are not taken");
    checkpoint
}

fn step(network: &mut Network, adam: &mut Adam<f32>) -> Result<f64, Error> {
    let x = array![[0.5, -1.0], [1.0, 0.25], [-0.5, 2.0]];
    let loss = &mut SoftmaxWithLoss::new();
    network.train_step(x.view(), (&[0usize, 1, 0][..]).into(), loss, adam)
}

fn seeds() -> Vec<Vec<u8>> {
    let (mut network, mut adam) = parts();
    let mut checkpoints = vec![Checkpoint::new(), state(&network, &adam)];
    step(&mut network, &mut adam).expect("finite data");
    checkpoints.push(state(&network, &adam));
    let mut others = Checkpoint::new();
    others
        .add_value("loss", &vec![Some(0.5), None])
        .and_then(|()| others.add_array("a", &[2, 0, 3], &[0.0f64; 0]))
        .and_then(|()| others.add_array("b", &[2], &[f64::NAN, 1e300]))
        .expect("names that are not taken");
    checkpoints.push(others);
    let nested = nested(Network::builder(2), 8)
        .build(1)
        .expect("the layers fit");
    let mut of_nested = Checkpoint::new();
    of_nested
        .add_network("network", &nested)
        .expect("a new name");
    checkpoints.push(of_nested);
    let mut seeds = Vec::new();
    for checkpoint in checkpoints {
        let bytes = checkpoint.to_bytes().expect("small");
        let mut parted = bytes[8..].to_vec();
        let header = u64::from_le_bytes(*bytes.first_chunk().expect("the length of the header"));
        parted.insert(header as usize, 0);
        seeds.extend([bytes, parted]);
    }
    seeds
}
