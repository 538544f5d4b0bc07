//! What the examples share: options, data, files that appear whole or not at all, pictures.

// Each example is a program of its own and uses its part of this.
#![allow(dead_code)]

pub(crate) mod args;
pub(crate) mod cnn;
pub(crate) mod confusion;
pub(crate) mod data;
pub(crate) mod dcgan;
pub(crate) mod histogram;
pub(crate) mod images;
pub(crate) mod line_chart;
pub(crate) mod memory;
pub(crate) mod output;
pub(crate) mod picture;
pub(crate) mod style;

use anyhow::Result;
use args::{CommonArgs, Defaults};
use clap::{CommandFactory, FromArgMatches};
use std::process::ExitCode;

/// Parses the command line and runs `example` inside a pool of `--threads` threads. What goes
/// wrong is one line on standard error and exit code 1 (2 for options that do not parse).
pub(crate) fn run<A>(defaults: Defaults, example: impl FnOnce(&A) -> Result<()> + Send) -> ExitCode
where
    A: CommandFactory + FromArgMatches + AsRef<CommonArgs> + Sync,
{
    let matches = defaults.apply(A::command()).get_matches();
    let args = A::from_arg_matches(&matches).unwrap_or_else(|e| e.exit());
    let pool = args.as_ref().prepare();
    finish(pool.and_then(|pool| pool.install(|| example(&args))))
}

/// The exit code of an example that ended so, and what went wrong on standard error.
pub(crate) fn finish(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has read enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", one_line(&error));
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// The error and its causes, but for those that it quotes already.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if !line.contains(&text) {
            let separator = if line.is_empty() { "" } else { ": " };
            line = line + separator + &text;
        }
    }
    // A list, such as that of the mirrors that were tried, comes a line each.
    let parts: Vec<&str> = line.lines().map(str::trim).collect();
    parts.join("; ").replace(":; ", ": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_that_says_everything_once() {
        let quoted = anyhow::anyhow!("tried:\n  a\n  b").context("no data, tried:\n  a\n  b");
        assert_eq!(one_line(&quoted), "no data, tried: a; b");
        let added = anyhow::anyhow!("no such file").context("cannot read a");
        assert_eq!(one_line(&added), "cannot read a: no such file");
    }
}
