//! OpenBLAS beside the threads of this crate.
#![cfg(all(
    target_os = "linux",
    any(feature = "openblas", feature = "openblas-static")
))]

use crate::common::{child, matrix};
use bn_tensor::{Pool, matmul};
use ndarray::Array2;
#[cfg(feature = "openblas")]
use std::{fs, path::Path};
use std::{
    io::Read,
    process::{Command, Stdio},
    thread,
};

/// A product that OpenBLAS computes.
fn product() -> Array2<f32> {
    let (a, b) = (matrix(100, 50, 1), matrix(50, 50, 2));
    let mut c = Array2::zeros((100, 50));
    matmul(a.view(), b.view(), 0.0, c.view_mut()).unwrap();
    c
}

/// Products on four threads at once.
fn products() {
    let expected = product();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(product(), expected);
                }
            });
        }
    });
}

/// Without memory a computation ends with a message. OpenBLAS would ask the system again and again.
#[test]
fn a_computation_without_memory_ends_with_a_message() {
    let compute = || {
        Pool::new(2).unwrap().install(products);
        std::process::exit(child::DONE);
    };
    if child::is_child() {
        compute();
    }
    let program = child::command(child::name_of(&compute));
    let start = |kib: u32| {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("ulimit -v {kib}; exec \"$0\" \"$@\"")])
            .arg(program.get_program())
            .args(program.get_args())
            .envs(
                program
                    .get_envs()
                    .filter_map(|(key, value)| Some((key, value?))),
            )
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        shell.spawn().unwrap()
    };
    let limits = [
        120_000, 200_000, 300_000, 400_000, 500_000, 600_000, 4_000_000,
    ];
    let mut processes = limits.map(start);
    let statuses = processes.each_mut().map(child::finish);
    let mut finished = 0;
    for ((kib, process), status) in limits.iter().zip(&mut processes).zip(statuses) {
        let Some(status) = status else {
            panic!("it hangs with {kib} KiB");
        };
        let mut message = String::new();
        let stderr = process.stderr.as_mut().unwrap();
        stderr.read_to_string(&mut message).unwrap();
        let is_done = status.code() == Some(child::DONE);
        assert!(is_done || !message.is_empty(), "{kib} KiB: {status}");
        finished += usize::from(is_done);
    }
    assert!((1..limits.len()).contains(&finished), "{finished}");
}

/// Stands between this program and OpenBLAS. It says that OpenBLAS was built without threads, and aborts if
/// two calls overlap.
#[cfg(feature = "openblas")]
const SEQUENTIAL: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static int calls;

int openblas_get_parallel(void) { return 0; }

void cblas_sgemm(int order, int transa, int transb, int m, int n, int k, float alpha, const float *a,
                 int lda, const float *b, int ldb, float beta, float *c, int ldc) {
    void (*sgemm)(int, int, int, int, int, int, float, const float *, int, const float *, int, float,
                  float *, int) = dlsym(RTLD_NEXT, "cblas_sgemm");
    if (__sync_add_and_fetch(&calls, 1) > 1) abort();
    usleep(500);
    sgemm(order, transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    __sync_sub_and_fetch(&calls, 1);
}
"#;

#[cfg(feature = "openblas")]
#[test]
fn calls_of_an_openblas_without_threads_do_not_overlap() {
    let compute = || {
        products();
        std::process::exit(child::DONE);
    };
    if child::is_child() {
        compute();
    }
    let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sequential.c");
    let library = source.with_extension("so");
    fs::write(&source, SEQUENTIAL).unwrap();
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl");
    assert!(compiler.status().unwrap().success());
    let mut program = child::command(child::name_of(&compute));
    let status = child::finish(&mut program.env("LD_PRELOAD", &library).spawn().unwrap());
    let code = status.and_then(|status| status.code());
    assert_eq!(code, Some(child::DONE), "{status:?}");
}
