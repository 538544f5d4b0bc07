//! `mnist_mpi` as a user runs it, with simulated ranks.

use std::{
    env,
    path::Path,
    process::{Command, Output},
};

/// Runs the example on the digits that are part of the library.
fn mnist_mpi(folder: &Path, arguments: &[&str]) -> Output {
    let test = env::current_exe().unwrap();
    let target = test.ancestors().nth(2).unwrap();
    Command::new(target.join("examples/mnist_mpi"))
        .current_dir(folder)
        .args(["--data", "digits", "--threads", "1"])
        .args(arguments)
        .output()
        .unwrap()
}

fn digest(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, digest) = text
        .rsplit_once("Digest of parameters and statistics: ")
        .unwrap();
    digest.trim().to_owned()
}

fn error(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn any_number_of_ranks_prints_the_same_digest_also_from_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| mnist_mpi(folder.path(), arguments);
    let one = digest(&run(&["--epochs", "2", "--simulate", "1"]));
    assert_eq!(digest(&run(&["--epochs", "2", "--simulate", "3"])), one);
    let local = ["--epochs", "2", "--simulate", "2", "--local-batch-norm"];
    assert_ne!(digest(&run(&local)), one);

    let file = ["--checkpoint", "run.safetensors", "--epochs", "2"];
    let run_with = |more: &[&str]| run(&[&file[..], more].concat());
    assert_eq!(digest(&run_with(&["--simulate", "2"])), one);
    // The run is over: what is printed comes from the file.
    assert_eq!(digest(&run_with(&["--simulate", "3", "--resume"])), one);
    let exists = error(&run_with(&["--simulate", "2"]));
    assert!(
        exists.contains("run.safetensors exists; add --resume"),
        "{exists}"
    );
    let missing = error(&run(&[
        "--checkpoint",
        "other",
        "--resume",
        "--simulate",
        "2",
    ]));
    assert!(
        missing.contains("there is no other to resume from"),
        "{missing}"
    );
}

#[test]
fn impossible_options_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| error(&mnist_mpi(folder.path(), arguments));
    let few = run(&["--simulate", "5", "--shards", "3"]);
    assert!(
        few.contains("the number of shards is 3, but must be at least 5"),
        "{few}"
    );
    assert!(run(&["--simulate", "0"]).contains("--simulate"));
    assert!(run(&["--resume", "--simulate", "2"]).contains("--checkpoint"));
}
