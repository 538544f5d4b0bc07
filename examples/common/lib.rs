//! What the examples share: options, data, training by epochs, files, pictures.

// Only the examples use this; it is not published.
#![allow(missing_docs)]

pub mod args;
pub mod cnn;
pub mod confusion;
pub mod data;
pub mod dcgan;
pub mod epochs;
pub mod histogram;
pub mod images;
pub mod interrupt;
pub mod line_chart;
pub mod memory;
pub mod mistakes;
pub mod output;
pub mod picture;
pub mod style;
pub mod values;

use anyhow::Result;
use args::{CommonArgs, Defaults, RunArgs};
use clap::{Command, CommandFactory, FromArgMatches};
use std::{
    io::{self, Write},
    process::ExitCode,
};

/// Parses the command line and runs `example` in a pool of `--threads` threads. An error is one
/// line on standard error and exit code 1 (2 for options that cannot be parsed).
pub fn run<A>(defaults: Defaults, example: impl FnOnce(&A) -> Result<()> + Send) -> ExitCode
where
    A: CommandFactory + FromArgMatches + AsRef<CommonArgs> + Sync,
{
    start(defaults.apply(A::command()), |args| args.as_ref(), example)
}

/// [`run`] for an example that makes its data; `picture` is the default of `--picture`.
pub fn run_without_data<A>(
    picture: &'static str,
    example: impl FnOnce(&A) -> Result<()> + Send,
) -> ExitCode
where
    A: CommandFactory + FromArgMatches + AsRef<RunArgs> + Sync,
{
    let command = args::default_picture(A::command(), picture);
    start(command, |args| args.as_ref(), example)
}

fn start<A: FromArgMatches + Sync>(
    command: Command,
    run_args: fn(&A) -> &RunArgs,
    example: impl FnOnce(&A) -> Result<()> + Send,
) -> ExitCode {
    let command = args::take_negative_numbers(command);
    let args = A::from_arg_matches(&command.get_matches()).unwrap_or_else(|e| e.exit());
    let pool = run_args(&args).prepare();
    finish(pool.and_then(|pool| pool.install(|| example(&args))))
}

/// Prints the error, if there is one, and returns the exit code.
pub fn finish(result: Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    let line = match of_standard_output(&error) {
        // The reader, such as `head`, has read enough.
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        Some(error) => format!("cannot write to standard output: {error}"),
        None => one_line(&error),
    };
    let _ = writeln!(io::stderr(), "error: {line}");
    ExitCode::FAILURE
}

/// An error of standard output has no context. An error of a file has: its name.
fn of_standard_output(error: &anyhow::Error) -> Option<&io::Error> {
    let bare = error.chain().count() == 1;
    error.downcast_ref().filter(|_| bare)
}

/// The error and its causes, without those that it quotes already.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if !line.contains(&text) {
            let separator = if line.is_empty() { "" } else { ": " };
            line = line + separator + &text;
        }
    }
    // A list, such as that of the mirrors that were tried, has one line for each entry.
    let parts: Vec<&str> = line.lines().map(str::trim).collect();
    parts.join("; ").replace(":; ", ": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn an_error_is_one_line_without_repetition() {
        let quoted = anyhow::anyhow!("tried:\n  a\n  b").context("no data, tried:\n  a\n  b");
        assert_eq!(one_line(&quoted), "no data, tried: a; b");
        let added = anyhow::anyhow!("no such file").context("cannot read a");
        assert_eq!(one_line(&added), "cannot read a: no such file");
    }

    #[test]
    fn a_file_error_is_not_an_output_error() {
        let broken = || Err::<(), _>(io::Error::from(io::ErrorKind::BrokenPipe));
        let bare = broken().map_err(anyhow::Error::from).unwrap_err();
        assert!(of_standard_output(&bare).is_some());
        let of_file = broken().context("cannot write a").unwrap_err();
        assert!(of_standard_output(&of_file).is_none());
    }
}
