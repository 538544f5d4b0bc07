//! The command `bn`: trains, evaluates, inspects and converts networks with Batch Normalization.
//!
//! # The design decision
//!
//! **The definitions of the options are the only ones.** Help texts, man pages and shell completions are made from
//! [`command`], and a configuration file is turned into options before they are parsed. So whatever a flag accepts or
//! refuses, a file does too, with the same message.
//!
//! **A subcommand reads, computes and reports; the crates below do the work.** Each is a function from its options to a
//! report, which is printed as text or as one JSON document. A failure has one of a few [exit codes](Error::exit_code).
//! Files are written whole or not at all.
//!
//! ```
//! let help = bn_cli::command().render_long_help().to_string();
//! for subcommand in ["train", "eval", "predict", "inspect", "convert", "sample", "bench"] {
//!     assert!(help.contains(subcommand));
//! }
//! ```

mod bench;
mod cli;
mod convert;
mod data;
mod error;
mod eval;
mod inspect;
mod interrupt;
mod model;
mod output;
mod pages;
mod picture;
mod predict;
mod sample;
mod train;
mod values;

pub use cli::{command, run};
pub use data::{DataArgs, ImageShape};
pub use error::{EXIT_CODES, Error};
pub use model::Origin;
pub use train::{NetworkKind, OptimizerKind, ScheduleKind, Settings, Trained};

/// Trains as `bn train` does, for a program that follows the run.
///
/// ```
/// use bn_net::{Network, Record};
/// use std::ops::ControlFlow;
/// # fn main() -> Result<(), bn_cli::Error> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let model = folder.path().join("model.safetensors");
/// let mut settings = bn_cli::Settings::default(); // those of `bn train` without options
/// settings.epochs = 3;
/// settings.output = model;
/// let mut epochs = 0;
/// let mut follow = |_: &Record, _: &Network| {
///     epochs += 1;
///     ControlFlow::Continue(())
/// };
/// let trained = bn_cli::train(&settings, false, Some(&mut follow))?;
/// assert!(trained.model.network.param_count() > 10_000);
/// assert_eq!(epochs, 3);
/// # Ok(()) }
/// ```
///
/// `progress` shows a bar on a terminal, or lines elsewhere, on standard error.
///
/// # Errors
/// [`Error`], as `bn train`.
pub fn train(
    settings: &Settings,
    progress: bool,
    callback: Option<&mut dyn bn_net::Callback>,
) -> Result<Trained, Error> {
    train::Run::prepare(settings, progress)?.train(callback)
}

/// Runs the README's program as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
