use std::path::PathBuf;

/// The errors of state_dicts. A call that returns one has changed neither the network nor a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// PyTorch has no module that computes what a layer does.
    #[error("{layer} ({kind}) has no counterpart in PyTorch: {reason}")]
    NoModule {
        /// The layer, such as `layers.3`.
        layer: String,
        /// Its type, such as `AvgPool2d`.
        kind: String,
        /// Why.
        reason: String,
    },
    /// The bytes are not those of a safetensors file.
    #[error("not a safetensors file: {reason}")]
    Invalid {
        /// What is wrong.
        reason: String,
    },
    /// The tensors are not those of the network.
    #[error(
        "the state_dict does not fit the network: {}; `bn_torch::sequential` prints the module that fits",
        listed(faults)
    )]
    Mismatch {
        /// All that does not fit.
        faults: Vec<Fault>,
    },
    /// An array of the network is not one that the description of its layer promises.
    #[error("the array {array} of the network does not fit the description of its layer")]
    Array {
        /// Its name in the network.
        array: String,
    },
    /// The state_dict cannot be written.
    #[error("the state_dict cannot be written: {reason}")]
    TooLarge {
        /// Why.
        reason: String,
    },
    /// The network could not describe itself.
    #[error(transparent)]
    Network(#[from] bn_net::Error),
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// A difference between a state_dict and a network. The names and shapes are those of the state_dict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The state_dict lacks a tensor.
    #[error("{name} {shape:?} is missing")]
    Missing {
        /// Its name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// The network has no place for a tensor.
    #[error("{name} {shape:?} is unexpected")]
    Unexpected {
        /// Its name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A tensor has another shape.
    #[error("{name} is {got:?}, not {expected:?}")]
    Misshapen {
        /// Its name.
        name: String,
        /// The shape that fits the network.
        expected: Vec<usize>,
        /// The shape in the state_dict.
        got: Vec<usize>,
    },
    /// A tensor has values that cannot be used.
    #[error("{name} {reason}")]
    Values {
        /// Its name.
        name: String,
        /// What they are, and what they should be.
        reason: String,
    },
    /// Two tensors have the same name after renaming.
    #[error("{name} is there twice after renaming")]
    Twice {
        /// The name.
        name: String,
    },
}

fn listed(faults: &[Fault]) -> String {
    let faults: Vec<String> = faults.iter().map(Fault::to_string).collect();
    faults.join("; ")
}
