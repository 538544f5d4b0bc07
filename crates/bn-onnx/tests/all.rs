//! All integration tests of this crate as one program. `.ci/run` checks that no file is missing here.

mod golden;
mod hostile;
mod memory;
mod networks;
mod refused;
mod round_trip;
mod runtime;
