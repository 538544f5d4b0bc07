//! All integration tests of this crate as one program. `.ci/run` checks that no file is missing here.

mod cases;
mod golden;
mod hostile;
mod mismatch;
mod runtime;
mod sequential;
mod state;

/// The networks that the tests of `bn-onnx` export: every layer, and the ways in which they follow each other.
#[path = "../../bn-onnx/tests/networks.rs"]
mod networks;
