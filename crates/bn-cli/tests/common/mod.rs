//! Runs `bn` in a folder.

use serde_json::Value;
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};
use tempfile::TempDir;

/// What a run of the command left behind.
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().expect("ended by a signal"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Checks that it went well.
    pub(crate) fn ok(self) -> Self {
        let Self {
            code,
            stdout,
            stderr,
        } = &self;
        assert_eq!(*code, 0, "{stdout}\n{stderr}");
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }
}

/// The command, in a folder.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bn"));
    command.current_dir(folder);
    command
}

pub(crate) fn bn<S: AsRef<OsStr>>(folder: &Path, args: impl IntoIterator<Item = S>) -> Outcome {
    Outcome::of(command(folder).args(args).output().unwrap())
}

/// The command with arguments separated by spaces.
pub(crate) fn run(folder: &Path, args: &str) -> Outcome {
    bn(folder, args.split_whitespace())
}

/// Checks that it is refused with this code and a message that has these words, also with `--json`.
pub(crate) fn refused(at: &Path, args: &str, code: i32, words: &str) {
    let outcome = run(at, args);
    assert_eq!(
        outcome.code, code,
        "{args}: {}\n{}",
        outcome.stdout, outcome.stderr
    );
    assert!(outcome.stderr.contains(words), "{args}: {}", outcome.stderr);
    assert!(outcome.stdout.is_empty(), "{args}: {}", outcome.stdout);
    let json = run(at, &format!("{args} --json"));
    assert_eq!(
        (json.code, json.json()["error"]["code"].as_i64()),
        (code, Some(code.into())),
        "{args}"
    );
    let message = json.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(
        json.stderr.contains(message.lines().next().unwrap()),
        "{args}: {}",
        json.stderr
    );
}

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// The path of a model that was trained on the digits, which all tests share.
pub(crate) fn digits_model() -> PathBuf {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = folder();
        run(folder.path(), "train --epochs 10 --quiet").ok();
        folder
    });
    folder.path().join("model.safetensors")
}
