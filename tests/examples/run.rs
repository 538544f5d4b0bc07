//! Runs an example and reads what it printed and wrote.

use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// The example's program, which `cargo test` builds. (`cargo test --test examples` does not: it
/// runs the programs of the last build.)
fn program(example: &str) -> PathBuf {
    // target/<profile>/deps/<this test>
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let program = profile.join("examples").join(example);
    let built = program.with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        built.exists(),
        "{} is not built: cargo build --examples",
        built.display()
    );
    built
}

pub(crate) fn command(example: &str, place: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(program(example));
    command.current_dir(place.path()).args(args);
    command.env_remove("BN_DATA_DIR");
    command
}

pub(crate) fn run(example: &str, place: &TempDir, args: &[&str]) -> Output {
    command(example, place, args).output().unwrap()
}

/// Runs an example that must succeed. Returns its standard output.
pub(crate) fn succeed(example: &str, place: &TempDir, args: &[&str]) -> String {
    let output = run(example, place, args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example} {args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs an example that must fail with exit code 1. Returns the line that says why.
pub(crate) fn fail(example: &str, place: &TempDir, args: &[&str]) -> String {
    let output = run(example, place, args);
    let errors = errors(&output);
    let code = output.status.code();
    assert_eq!(code, Some(1), "{example} {args:?}: {errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.starts_with("error: "), "{errors}");
    errors
}

/// Runs an example whose options must be refused (exit code 2). Returns the message.
pub(crate) fn refuse(example: &str, place: &TempDir, args: &[&str]) -> String {
    let output = run(example, place, args);
    let errors = errors(&output);
    let code = output.status.code();
    assert_eq!(code, Some(2), "{example} {args:?}: {errors}");
    assert!(errors.starts_with("error: "), "{errors}");
    errors
}

pub(crate) const DEBUG_NOTICE: &str =
    "This is a debug build, about 30 times slower; run with --release";

/// Standard error without the notice of a debug build.
pub(crate) fn errors(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    match text.split_once('\n') {
        Some((first, rest)) if first.starts_with(DEBUG_NOTICE) => rest.to_owned(),
        _ => text,
    }
}

pub(crate) fn json(place: &TempDir, file: &str) -> Value {
    serde_json::from_slice(&fs::read(place.path().join(file)).unwrap()).unwrap()
}

pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap().iter();
    values.map(|v| v.as_f64().unwrap()).collect()
}

/// The results without what differs from run to run.
pub(crate) fn reproducible(mut results: Value) -> Value {
    match &mut results {
        Value::Object(fields) => {
            for name in ["seconds", "training_seconds", "threads", "peak_rss_bytes"] {
                fields.remove(name);
            }
            fields
                .values_mut()
                .for_each(|value| *value = reproducible(value.take()));
        }
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| *value = reproducible(value.take())),
        _ => {}
    }
    results
}

pub(crate) fn files(place: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(place.path()).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap())).collect();
    names.sort();
    names
}

pub(crate) fn is_png(place: &TempDir, file: &str) -> bool {
    let bytes = fs::read(place.path().join(file)).unwrap();
    // The closing chunk too: the file is whole.
    bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.ends_with(b"IEND\xae\x42\x60\x82")
}

pub(crate) fn is_svg(place: &TempDir, file: &str) -> bool {
    let text = fs::read_to_string(place.path().join(file)).unwrap();
    text.starts_with("<svg") && text.trim_end().ends_with("</svg>")
}

pub(crate) fn place() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Sends SIGINT, as Ctrl-C does.
#[cfg(unix)]
pub(crate) fn interrupt(child: &std::process::Child) {
    let id = child.id().to_string();
    let status = Command::new("kill").args(["-INT", &id]).status();
    assert!(status.unwrap().success());
}
