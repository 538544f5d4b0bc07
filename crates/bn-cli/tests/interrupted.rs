//! Runs that are interrupted, and continued.

use crate::common::{Outcome, command, folder, refused, run};
use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

#[test]
fn a_run_continues_from_its_checkpoint_to_the_same_bytes() {
    let folder = folder();
    let at = folder.path();
    let options = "--dropout 0.1 --schedule constant";
    run(
        at,
        &format!("train {options} --epochs 4 --output whole.safetensors"),
    )
    .ok();
    run(
        at,
        &format!("train {options} --epochs 2 --checkpoint run.safetensors"),
    )
    .ok();
    refused(
        at,
        &format!("train {options} --epochs 4 --checkpoint run.safetensors"),
        2,
        "--resume",
    );
    let resumed = format!("train {options} --epochs 4 --checkpoint run.safetensors --resume");
    run(at, &resumed).ok();
    let read = |name: &str| std::fs::read(at.join(name)).unwrap();
    assert_eq!(read("whole.safetensors"), read("model.safetensors"));
    assert_eq!(run(at, "train --resume").code, 2); // of which checkpoint?
}

#[test]
#[cfg(unix)]
fn ctrl_c_stops_at_the_end_of_a_step_and_saves() {
    let folder = folder();
    let at = folder.path();
    let mut child = command(at)
        .args([
            "train",
            "--epochs",
            "1000000",
            "--checkpoint",
            "run.safetensors",
            "--json",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("step "));
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let outcome = Outcome::of(child.wait_with_output().unwrap());
    assert_eq!(outcome.code, 130);
    assert_eq!(outcome.json()["error"]["code"], 130);
    let last = rest.last().unwrap();
    assert_eq!(
        last,
        "bn: error: interrupted; what was trained so far is in model.safetensors"
    );
    run(at, "eval").ok();
    assert!(run(at, "inspect run.safetensors --json").ok().json()["step"].as_u64() >= Some(22));
}
