//! The options, and which function each subcommand is.

use crate::{
    bench, convert,
    error::{EXIT_CODES, Error},
    eval, inspect,
    output::Output,
    pages, predict, sample, train, values,
};
use bn_tensor::Pool;
use clap::{Args, CommandFactory, Parser, Subcommand};
use serde_json::json;
use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
    thread::available_parallelism,
};

const EXAMPLE: &str = "\
A first run, without any file:
  bn train --data digits     trains for a second and writes model.safetensors
  bn eval                    evaluates it on the digits that it was not trained on
  bn predict picture.png     says which digit is on a picture
  bn inspect                 shows its layers and parameters";

/// Trains and runs networks with Batch Normalization on the CPU.
#[derive(Debug, Parser)]
#[command(name = "bn", version, max_term_width = 100)]
#[command(after_help = format!("{EXAMPLE}\n\n{EXIT_CODES}"))]
#[command(subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// The options of every subcommand.
#[derive(Debug, Args)]
struct Global {
    /// Print one JSON document on standard output, also for an error
    #[arg(long, global = true, help_heading = "Global options")]
    json: bool,
    /// Print only results: no progress and no notes
    #[arg(long, short, global = true, help_heading = "Global options")]
    quiet: bool,
    /// Number of threads; results do not depend on it [default: the number of processors]
    #[arg(long, global = true, help_heading = "Global options", value_name = "N", value_parser = values::threads)]
    threads: Option<usize>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a classifier
    Train(Box<train::TrainArgs>),
    /// Evaluate a model: loss, accuracy, confusion matrix, precision and recall of each class
    Eval(eval::EvalArgs),
    /// Classify pictures
    Predict(predict::PredictArgs),
    /// Show what is in a file: layers, parameters and their statistics
    Inspect(inspect::InspectArgs),
    /// Convert a model between file formats
    #[command(visible_alias = "export")]
    Convert(convert::ConvertArgs),
    /// Draw images with the generator of a GAN
    Sample(sample::SampleArgs),
    /// Measure how fast a model predicts and trains
    Bench(bench::BenchArgs),
    /// Print the completions of a shell
    Completions(pages::CompletionsArgs),
    /// Print the man page, or write the pages of all subcommands to a folder
    Man(pages::ManArgs),
}

/// The definitions of all options.
pub fn command() -> clap::Command {
    Cli::command()
        .mut_subcommands(|command| take_negative_numbers(command).args_override_self(true))
}

/// Takes `-1` as a value, so that the message says which values the option takes.
fn take_negative_numbers(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| match arg.get_action().takes_values() {
        true => arg.allow_negative_numbers(true),
        false => arg,
    })
}

/// Runs the command with these arguments, of which the first is the name of the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // Before anything is parsed, an error is already one of JSON.
    let json = arguments.iter().any(|argument| argument == "--json");
    let cli = match parse(arguments) {
        Ok(Ok(cli)) => cli,
        Ok(Err(error)) => return fail(json, &error),
        Err(error) => return refuse(json, &error),
    };
    let output = Output {
        json: cli.global.json,
        quiet: cli.global.quiet,
    };
    let processors = || available_parallelism().map_or(1, usize::from);
    let pool = Pool::new(cli.global.threads.unwrap_or_else(processors)).map_err(Error::from);
    match pool.and_then(|pool| pool.install(|| dispatch(&cli.command, output))) {
        Ok(code) => ExitCode::from(code),
        // Whoever reads has seen enough, as in `bn inspect | head`.
        Err(Error::Stream(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(output.json, &error),
    }
}

/// The options, with those of a configuration file among them; the outer error is clap's.
fn parse(mut arguments: Vec<OsString>) -> Result<Result<Cli, Error>, clap::Error> {
    let parse = |arguments: &[OsString]| {
        let mut matches = command().try_get_matches_from(arguments)?;
        <Cli as clap::FromArgMatches>::from_arg_matches_mut(&mut matches)
    };
    let cli = parse(&arguments)?;
    let Command::Train(of_train) = &cli.command else {
        return Ok(Ok(cli));
    };
    let Some(path) = of_train.config.clone() else {
        return Ok(Ok(cli));
    };
    let from_file = match train::config::arguments(&path, &command()) {
        Ok(from_file) => from_file,
        Err(error) => return Ok(Err(error)),
    };
    // By itself first, so that an error names the file.
    let mut alone: Vec<OsString> = vec!["bn".into(), "train".into()];
    alone.extend(from_file.iter().cloned());
    if let Err(error) = parse(&alone) {
        return Ok(Err(train::config::refused(&path, &error)));
    }
    // The name of the subcommand is the first argument that can be equal to it. A later option wins.
    let place = arguments
        .iter()
        .position(|a| a == "train")
        .map_or(1, |at| at + 1);
    arguments.splice(place..place, from_file);
    Ok(Ok(parse(&arguments)?))
}

fn dispatch(command: &Command, output: Output) -> Result<u8, Error> {
    match command {
        Command::Train(args) => train::report(args, output)?,
        Command::Eval(args) => eval::report(args, output)?,
        Command::Predict(args) => return predict::report(args, output),
        Command::Inspect(args) => inspect::report(args, output)?,
        Command::Convert(args) => convert::report(args, output)?,
        Command::Sample(args) => sample::report(args, output)?,
        Command::Bench(args) => bench::report(args, output)?,
        Command::Completions(args) => pages::completions(args)?,
        Command::Man(args) => pages::man(args, output)?,
    }
    Ok(0)
}

/// Prints an error, and returns its exit code.
fn fail(json: bool, error: &Error) -> ExitCode {
    if json {
        print_json(&json!({ "error": error.to_json() }));
    }
    let mut text = format!("bn: error: {error}\n");
    if !error.hint().is_empty() {
        text += &format!("hint: {}\n", error.hint());
    }
    // There is nobody to tell that this fails.
    let _ = io::stderr().write_all(text.as_bytes());
    ExitCode::from(error.exit_code())
}

/// Prints what clap says: help, the version, or what is wrong with the options.
fn refuse(json: bool, error: &clap::Error) -> ExitCode {
    let is_error = error.use_stderr();
    if json && is_error {
        let message = error.to_string();
        let message = message.trim_start_matches("error: ").trim_end();
        print_json(&json!({
            "error": { "code": 2, "message": message, "hint": "see bn --help" }
        }));
    }
    let _ = error.print();
    ExitCode::from(if is_error { 2 } else { 0 })
}

fn print_json(value: &serde_json::Value) {
    let _ = writeln!(io::stdout(), "{value}");
}
