//! With and without a terminal.

use crate::common::{digits_model, folder, run};
use std::process::{Command, Stdio};

#[test]
fn without_a_terminal_progress_is_plain_lines_on_standard_error() {
    let folder = folder();
    let outcome = run(folder.path(), "train --epochs 2").ok();
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].starts_with("step 44/44, loss "), "{lines:?}");
    for text in [&outcome.stdout, &outcome.stderr] {
        assert!(!text.contains(['\x1b', '\r', '█']), "{text:?}");
    }
    let quiet = run(folder.path(), "train --epochs 2 --quiet").ok();
    assert!(
        quiet.stderr.is_empty() && quiet.stdout.lines().count() == 2,
        "{}",
        quiet.stdout
    );
    let json = run(folder.path(), "train --epochs 2 --json").ok();
    assert_eq!(json.json()["history"].as_array().unwrap().len(), 2);
    assert_eq!(json.stdout.lines().count(), 1);
}

/// By util-linux's `script`, which runs a command on a pseudo terminal.
#[test]
#[cfg(target_os = "linux")]
fn on_a_terminal_progress_is_a_bar() {
    let folder = folder();
    let in_terminal = |args: &str| {
        let command = format!("{} {args}", env!("CARGO_BIN_EXE_bn"));
        let mut script = Command::new("script");
        script
            .args(["-qec", &command, "/dev/null"])
            .current_dir(folder.path());
        script
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        script.output().ok()
    };
    let Some(output) = in_terminal("train --epochs 2") else {
        eprintln!("skipped: there is no program `script`");
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("█") && text.contains("44/44 steps"),
        "{text:?}"
    );
    assert!(!text.contains("step 44/44"), "{text:?}");
    // NO_COLOR: no colours in the help and in errors.
    let output = in_terminal("train --epochs 0").unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("not an integer") && !text.contains("\x1b["),
        "{text:?}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_standard_output_that_cannot_be_written_is_an_error() {
    let folder = folder();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = crate::common::command(folder.path())
        .arg("inspect")
        .arg(digits_model())
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5));
}
