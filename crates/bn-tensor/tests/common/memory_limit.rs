//! Tests in a process of their own that gets little memory, so that a large array is refused on every
//! machine, and an abort or an endless use of memory fails one test.

use std::process::Command;

const CHILD: &str = "BN_TEST_WITH_LITTLE_MEMORY";
/// KiB of address space: enough for the program, its threads and the BLAS, but not for 2^31 `f32`.
const LIMIT: usize = 4 << 20;
/// What the shell returns where it cannot limit the memory.
const NO_LIMIT: i32 = 77;

/// Runs `test`, the body of the test function `name`, in another process with 4 GiB of address space.
/// Systems without `ulimit -v` skip it.
pub(crate) fn with_little_memory(name: &str, test: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return test();
    }
    let program = std::env::current_exe().unwrap();
    let limited = format!("ulimit -v {LIMIT} || exit {NO_LIMIT}; exec \"$0\" \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &limited])
        .arg(program)
        .args(["--exact", name, "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    if output.status.code() == Some(NO_LIMIT) {
        eprintln!("{name} is skipped: this system has no `ulimit -v`");
        return;
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}: {printed}{errors}",
        output.status
    );
    assert!(
        printed.contains("1 passed"),
        "no test is called {name}: {printed}"
    );
}
