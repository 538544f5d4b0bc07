//! Small checkpoints, whole and damaged.

use bn_net::{Checkpoint, Error, Network, Optimizer, SoftmaxWithLoss};
use ndarray::Array2;
use serde_json::Value;

pub(crate) fn network() -> Network {
    Network::builder(4)
        .affine(8)
        .batch_norm()
        .relu()
        .dropout(0.3)
        .affine(3)
        .build(1)
        .unwrap()
}

pub(crate) fn train(network: &mut Network, optimizer: &mut dyn Optimizer<f32>) {
    let x = Array2::from_shape_fn((8, 4), |(n, d)| ((n * 4 + d) as f32).sin());
    let labels = [0, 1, 2, 0, 1, 2, 0, 1];
    let loss = &mut SoftmaxWithLoss::new();
    network
        .train_step(x.view(), (&labels[..]).into(), loss, optimizer)
        .unwrap();
}

pub(crate) fn of_network(network: &Network) -> Checkpoint {
    let mut checkpoint = Checkpoint::new();
    checkpoint.add_network("net", network).unwrap();
    checkpoint
}

pub(crate) fn of_optimizer(optimizer: &dyn Optimizer<f32>) -> Checkpoint {
    let mut checkpoint = Checkpoint::new();
    checkpoint.add_optimizer("optimizer", optimizer).unwrap();
    checkpoint
}

#[track_caller]
pub(crate) fn refused<V>(result: Result<V, Error>) -> String {
    match result.map(|_| ()) {
        Err(Error::Checkpoint { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

/// The same file with a changed record of a part, as a faulty program may write it.
pub(crate) fn with_record(
    checkpoint: &Checkpoint,
    part: &str,
    change: impl FnOnce(&mut Value),
) -> Checkpoint {
    let bytes = checkpoint.to_bytes().unwrap();
    let header_len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let (header, arrays) = bytes[8..].split_at(header_len);
    let mut header: Value = serde_json::from_slice(header).unwrap();
    let values = &mut header["__metadata__"]["bn.1"];
    let mut records: Value = serde_json::from_str(values.as_str().unwrap()).unwrap();
    change(&mut records[part]);
    *values = records.to_string().into();
    let header = header.to_string().into_bytes();
    let len = (header.len() as u64).to_le_bytes();
    Checkpoint::from_bytes(&[&len[..], &header, arrays].concat()).unwrap()
}
