use std::path::PathBuf;

/// The errors of networks, losses, optimizers, files and the trainer. A call that returns one leaves
/// parameters, running statistics and random draws as they were.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A layer cannot follow the one before it, or refused its input.
    #[error("layer {index} ({name}): {source}")]
    Layer {
        /// Its place in the network, counted from 0.
        index: usize,
        /// What it is, as the builder calls it.
        name: String,
        /// What it refused.
        source: bn_layers::Error,
    },
    /// A layer or a loss outside a network refused its input.
    #[error(transparent)]
    Layers(#[from] bn_layers::Error),
    /// Arrays do not fit, or a setting is out of its range.
    #[error(transparent)]
    Tensor(#[from] bn_tensor::Error),
    /// A network without layers, or without inputs.
    #[error("a network needs {what}")]
    EmptyNetwork {
        /// What it lacks.
        what: &'static str,
    },
    /// The network cannot describe itself, because this layer does not.
    #[error("layer {index} ({name}) does not describe itself; it needs a `Layer::describe`")]
    NoSpec {
        /// Its place in the network, counted from 0.
        index: usize,
        /// What it is, as the builder calls it.
        name: String,
    },
    /// No parameter has a name of this pattern.
    #[error(
        "no parameter matches {pattern:?}; names are such as layers.0.weight, and `*` stands for any characters"
    )]
    NoParameter {
        /// The pattern.
        pattern: String,
    },
    /// The network has no layer of this index.
    #[error("there is no layer {index}; the network has {count} layers, counted from 0")]
    NoLayer {
        /// The index.
        index: usize,
        /// The number of layers.
        count: usize,
    },
    /// A label is not smaller than the number of classes.
    #[error(
        "row {row}: label {label} is out of range; it must be below {classes}, the number of classes"
    )]
    LabelOutOfRange {
        /// The row of the batch.
        row: usize,
        /// Its label.
        label: usize,
        /// The number of classes.
        classes: usize,
    },
    /// The number or the kind of the targets is wrong.
    #[error("{loss}: expected {expected}, got {got}")]
    Targets {
        /// The loss or metric that refused.
        loss: &'static str,
        /// What it takes.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// A value is NaN or infinite.
    #[error("{place} is not finite (NaN or infinity){hint}")]
    NonFinite {
        /// Where it was found first.
        place: String,
        /// What may have caused it.
        hint: &'static str,
    },
    /// The optimizer's state of a parameter does not have the parameter's length.
    #[error(
        "optimizer state of {name}: expected {expected} values, got {got}; use one optimizer for one network"
    )]
    OptimizerState {
        /// The parameter's name.
        name: String,
        /// The length of the state.
        expected: usize,
        /// The length of the parameter.
        got: usize,
    },
    /// The state of an optimizer or an accumulator belongs to another network.
    #[error(
        "the optimizer's state, or the accumulated gradients, belong to another network; use one optimizer for \
         each network, or clone the optimizer together with the network"
    )]
    OtherNetwork,
    /// An update without gradients.
    #[error("the accumulator has no gradients; add at least one micro-batch before the step")]
    Accumulator,
    /// Mini-batches could not be created.
    #[error(transparent)]
    Data(#[from] bn_data::Error),
    /// A step of a GAN failed, in one of its two networks.
    #[error("step {step}, {network}: {source}")]
    Step {
        /// The number of the iteration, from 1 on.
        step: u64,
        /// `generator` or `discriminator`.
        network: &'static str,
        /// The error of that network.
        source: Box<Error>,
    },
    /// Several processes that train together do not agree, or one cannot be reached.
    #[error(transparent)]
    Strategy(Box<dyn std::error::Error + Send + Sync>),
    /// Something cannot be added to a checkpoint, read from one or restored from one.
    #[error("checkpoint: {reason}")]
    Checkpoint {
        /// What is wrong.
        reason: String,
    },
    /// The arrays of an npz file do not fit the network.
    #[error("{} not fit the network: {reason}", subject(path))]
    Arrays {
        /// The file; `None` if it was in memory.
        path: Option<PathBuf>,
        /// All arrays that are missing, unexpected, or of another shape or type.
        reason: String,
    },
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

fn subject(path: &Option<PathBuf>) -> String {
    match path {
        Some(path) => format!("{} does", path.display()),
        None => "the arrays do".to_owned(),
    }
}
