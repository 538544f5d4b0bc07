use batchnorm::tensor::{matmul_backend, threads};
use std::{fs, path::PathBuf, thread::available_parallelism};

/// What every measurement depends on: the library for matrix products, the threads, the processor.
pub(crate) fn header() -> String {
    let (backend, threads) = (matmul_backend(), threads());
    let s = if threads == 1 { "" } else { "s" };
    format!("{backend}, {threads} thread{s}, {}", processor())
}

/// The processor's name if the system provides it (Linux), otherwise its architecture.
fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find(|line| line.starts_with("model name"));
    let name = name.and_then(|line| line.split_once(": "));
    name.map_or(std::env::consts::ARCH, |(_, name)| name)
        .to_owned()
}

/// 1, 2, 4 and so on, and finally the number of processors.
pub(crate) fn threads_to_try() -> Vec<usize> {
    // A build without threads always uses one.
    if !cfg!(feature = "parallel") {
        return vec![1];
    }
    let most = available_parallelism().map_or(1, usize::from);
    let doublings = std::iter::successors(Some(1), |threads| Some(2 * threads));
    doublings
        .take_while(|&threads| threads < most)
        .chain([most])
        .collect()
}

/// Cargo's target folder, which contains this program: target/<profile>/deps/<program>.
pub(crate) fn target_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let folder = program.ancestors().nth(3);
    folder.map_or_else(|| PathBuf::from("target"), PathBuf::from)
}
