//! Configuration files: their keys are the long options, and their values become arguments.

use super::settings::Settings;
use crate::error::Error;
use std::{ffi::OsString, path::Path};
use toml::{Table, Value};

/// The largest file that is read.
const LIMIT: usize = 1 << 20;

/// The options in the file, as arguments.
pub(crate) fn arguments(path: &Path, command: &clap::Command) -> Result<Vec<OsString>, Error> {
    let bytes = bn_data::read_whole(path).map_err(|error| Error::read(path, &error))?;
    if bytes.len() > LIMIT {
        return Err(Error::file(
            format!("{} is larger than 1 MiB", path.display()),
            "give a TOML file of settings",
        ));
    }
    let text = String::from_utf8_lossy(&bytes);
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let message = format!("{}: {}", path.display(), error.to_string().trim_end());
        Error::file(
            message,
            "give a TOML file, as bn train --print-config prints it",
        )
    })?;
    let known = known(command);
    let mut arguments = Vec::new();
    for (key, value) in &table {
        let Some((_, takes_value)) = known.iter().find(|(known, _)| known == key) else {
            let known: Vec<&str> = known.iter().map(|(key, _)| key.as_str()).collect();
            return Err(Error::usage(
                format!("{}: unknown key `{key}`", path.display()),
                format!("known keys are {}", known.join(", ")),
            ));
        };
        match (value, takes_value) {
            (Value::Boolean(true), false) => arguments.push(format!("--{key}").into()),
            (Value::Boolean(false), false) => {}
            (value, true) => {
                let text = text_of(value)
                    .ok_or_else(|| unfit(path, key, "a value or a list of values"))?;
                arguments.push(format!("--{key}={text}").into());
            }
            (_, false) => return Err(unfit(path, key, "true or false")),
        }
    }
    Ok(arguments)
}

/// The settings as such a file.
pub(super) fn text(settings: &Settings) -> Result<String, Error> {
    let settings = Settings {
        batch_norm: settings.has_batch_norm(),
        ..settings.clone()
    };
    toml::to_string(&settings)
        .map_err(|error| Error::usage(format!("the settings are no TOML: {error}"), ""))
}

/// The error of options that come from the file.
pub(crate) fn refused(path: &Path, error: &clap::Error) -> Error {
    let message = error.to_string();
    let first = message.lines().next().unwrap_or_default();
    let first = first.trim_start_matches("error: ");
    Error::usage(
        format!("{}: {first}", path.display()),
        "see bn train --help for what an option accepts",
    )
}

/// The long options of `bn train` that a file may have, and whether they take a value.
fn known(command: &clap::Command) -> Vec<(String, bool)> {
    let train = command.find_subcommand("train");
    let options = train.into_iter().flat_map(clap::Command::get_arguments);
    options
        .filter_map(|option| {
            Some((
                option.get_long()?.to_owned(),
                option.get_action().takes_values(),
            ))
        })
        .filter(|(name, _)| !["config", "print-config", "help", "version"].contains(&name.as_str()))
        .collect()
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(is_true) => Some(is_true.to_string()),
        Value::Array(values) => {
            let texts: Option<Vec<String>> = values.iter().map(text_of).collect();
            Some(texts?.join(","))
        }
        _ => None,
    }
}

fn unfit(path: &Path, key: &str, expected: &str) -> Error {
    Error::usage(
        format!("{}: `{key}` must be {expected}", path.display()),
        "see bn train --help for what an option accepts",
    )
}
