//! Running an example, and looking at what it left.

use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// The example's program, which `cargo test` builds beside this test. (`cargo test --test examples`
/// alone does not: it runs those of the last build.)
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

/// What a run that must succeed printed.
pub(crate) fn succeed(example: &str, place: &TempDir, args: &[&str]) -> String {
    let output = run(example, place, args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example} {args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The line that a run that must fail ended with.
pub(crate) fn fail(example: &str, place: &TempDir, args: &[&str]) -> String {
    let output = run(example, place, args);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        output.status.code(),
        Some(1),
        "{example} {args:?}: {errors}"
    );
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.starts_with("error: "), "{errors}");
    errors
}

pub(crate) fn json(place: &TempDir, file: &str) -> Value {
    serde_json::from_slice(&fs::read(place.path().join(file)).unwrap()).unwrap()
}

pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap().iter();
    values.map(|v| v.as_f64().unwrap()).collect()
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
