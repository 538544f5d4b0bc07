use batchnorm::tensor::{matmul_backend, threads};
use std::{fs, path::PathBuf, thread::available_parallelism};

/// What every figure depends on: the library of the products, the threads, the processor.
pub(crate) fn header() -> String {
    let (backend, threads) = (matmul_backend(), threads());
    let s = if threads == 1 { "" } else { "s" };
    format!("{backend}, {threads} thread{s}, {}", processor())
}

/// The processor's name where the system tells it (Linux), else its architecture.
fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find(|line| line.starts_with("model name"));
    let name = name.and_then(|line| line.split_once(": "));
    name.map_or(std::env::consts::ARCH, |(_, name)| name)
        .to_owned()
}

/// 1, 2, 4 and so on, and at last the number of processors.
pub(crate) fn threads_to_try() -> Vec<usize> {
    // A build without threads has one, whatever it is asked for.
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

/// Cargo's target folder, that this program stands in: target/<profile>/deps/<program>.
pub(crate) fn target_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let folder = program.ancestors().nth(3);
    folder.map_or_else(|| PathBuf::from("target"), PathBuf::from)
}
