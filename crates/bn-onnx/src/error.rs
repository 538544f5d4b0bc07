use std::path::PathBuf;

/// The errors of files in the ONNX format.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A layer of the network cannot be written as operators of ONNX.
    #[error("{layer} ({kind}) cannot be exported: {reason}")]
    NoOperator {
        /// The layer, such as `layers.3`.
        layer: String,
        /// Its type, such as `BatchNormalization`.
        kind: String,
        /// Why.
        reason: String,
    },
    /// The bytes are not a model in the ONNX format, or contradict themselves.
    #[error("not a valid ONNX model: {reason}")]
    Invalid {
        /// What is wrong.
        reason: String,
    },
    /// The model is valid, but this library has no layer for a part of it.
    #[error("node {node:?} ({operator}) cannot be imported: {reason}")]
    Unsupported {
        /// The node's name, or that of its output.
        node: String,
        /// Its operator, such as `Gemm`.
        operator: String,
        /// What is not supported, and what is.
        reason: String,
    },
    /// The network could not describe itself, or could not be built.
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

/// The error of bytes that contradict themselves.
pub(crate) fn invalid<T>(reason: impl Into<String>) -> Result<T, Error> {
    Err(Error::Invalid {
        reason: reason.into(),
    })
}
