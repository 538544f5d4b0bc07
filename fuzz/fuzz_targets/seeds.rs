//! The first inputs of a target, which the library itself makes.

use std::{fs, path::Path};

/// Writes the seeds to the folder that the variable `BN_FUZZ_SEEDS` names, and exits. Returns if it is
/// not set.
pub(crate) fn write(seeds: impl FnOnce() -> Vec<Vec<u8>>) {
    let Some(folder) = std::env::var_os("BN_FUZZ_SEEDS") else {
        return;
    };
    for (i, seed) in seeds().iter().enumerate() {
        let path = Path::new(&folder).join(format!("seed-{i}"));
        fs::write(path, seed).expect("the folder of the seeds can be written");
    }
    std::process::exit(0);
}
