//! Tests that run in a process of their own, so that a hang is a failure.

use std::{
    env,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Longer than any of these tests takes, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);
const VARIABLE: &str = "BN_TEST_IN_CHILD";
/// The exit code of a test that ran to its end. A process that runs no test at all has another one.
pub(crate) const DONE: i32 = 17;

/// Runs `f`, a closure of the calling test, in a new process, with two threads. Panics if `f` panics
/// there, or does not end.
pub(crate) fn run<F: FnOnce()>(f: F) {
    if is_child() {
        f();
        std::process::exit(DONE);
    }
    let status = finish(&mut command(name_of(&f)).spawn().unwrap());
    let code = status.and_then(|status| status.code());
    assert_eq!(code, Some(DONE), "{status:?}");
}

/// Whether this is a process that runs a single test.
pub(crate) fn is_child() -> bool {
    env::var_os(VARIABLE).is_some()
}

/// The name of the test that a closure is part of: its path without the program and the closure.
pub(crate) fn name_of<F>(_: &F) -> &'static str {
    let path = std::any::type_name::<F>();
    let path = path.split_once("::").map_or(path, |(_, path)| path);
    path.trim_end_matches("::{{closure}}")
}

/// A command that runs the test `name` and nothing else.
pub(crate) fn command(name: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(VARIABLE, "1")
        .env("RAYON_NUM_THREADS", "2")
        .stdout(Stdio::null());
    command
}

/// Waits until the process has ended, and kills it if it does not.
pub(crate) fn finish(child: &mut Child) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}
