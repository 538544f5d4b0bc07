use std::path::PathBuf;

/// What networks, losses, optimizers and the trainer refuse. After any of these a network's
/// parameters, running statistics and random draws are as they were before the call.
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
    /// A layer that does not describe itself, in a network that is to.
    #[error("layer {index} ({name}) does not describe itself; it needs a `Layer::describe`")]
    NoSpec {
        /// Its place in the network, counted from 0.
        index: usize,
        /// What it is, as the builder calls it.
        name: String,
    },
    /// A label that names no class.
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
    /// Targets of the wrong number or kind.
    #[error("{loss}: expected {expected}, got {got}")]
    Targets {
        /// The loss that refused.
        loss: &'static str,
        /// What it takes.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// A NaN or an infinity.
    #[error("{place} is not finite (NaN or infinity){hint}")]
    NonFinite {
        /// Where it was seen first.
        place: String,
        /// What may have caused it.
        hint: &'static str,
    },
    /// An optimizer met a parameter under a name that it knows with another length.
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
    /// Mini-batches could not be made.
    #[error(transparent)]
    Data(#[from] bn_data::Error),
    /// What went wrong in a step of two networks that train each other, and in which of them.
    #[error("step {step}, {network}: {source}")]
    Step {
        /// The number of the iteration, from 1 on.
        step: u64,
        /// `generator` or `discriminator`.
        network: &'static str,
        /// What went wrong.
        source: Box<Error>,
    },
    /// A checkpoint that lacks something, or that was made of something else.
    #[error("the checkpoint does not fit: {reason}")]
    Checkpoint {
        /// What does not fit.
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
