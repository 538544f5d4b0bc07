//! Links the system's OpenBLAS. If it is missing, the build ends with a message that says what to
//! do, not with the linker's `cannot find -lopenblas`.

#[cfg(feature = "openblas")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for variable in ["LIBRARY_PATH", "DOCS_RS"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let built_from_source = cfg!(feature = "openblas-static");
    if !built_from_source && std::env::var_os("DOCS_RS").is_none() {
        system::link();
    }
}

#[cfg(not(feature = "openblas"))]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}

#[cfg(feature = "openblas")]
mod system {
    use std::env;
    use std::path::Path;
    use std::process::{Command, Stdio};

    const HELP: &str = "\
OpenBLAS was not found. Install it:
    Debian, Ubuntu   apt-get install libopenblas-dev pkg-config
    Fedora           dnf install openblas-devel pkgconf-pkg-config
    macOS            brew install openblas pkgconf
    Windows          vcpkg install openblas (MSVC), or pacman -S mingw-w64-x86_64-openblas (MSYS2)
or build without it, in pure Rust:
    cargo build --no-default-features --features parallel
or with OpenBLAS compiled from source (needs a C and a Fortran compiler, and the network):
    cargo build --no-default-features --features parallel,openblas-static
In Cargo.toml: default-features = false, features = [\"parallel\"].";

    /// Tells cargo where OpenBLAS is: as pkg-config says, else vcpkg or Homebrew, else the linker.
    pub(crate) fn link() {
        if pkg_config::probe_library("openblas").is_ok() || found_by_vcpkg() {
            return;
        }
        if let Some(folder) = found_by_homebrew() {
            println!("cargo::rustc-link-search={folder}/lib");
        } else if !is_cross_build() && !found_by_linker() {
            for line in HELP.lines() {
                println!("cargo::error={line}");
            }
        }
        println!("cargo::rustc-link-lib=openblas");
    }

    #[cfg(target_env = "msvc")]
    fn found_by_vcpkg() -> bool {
        vcpkg::find_package("openblas").is_ok()
    }

    #[cfg(not(target_env = "msvc"))]
    fn found_by_vcpkg() -> bool {
        false
    }

    fn found_by_homebrew() -> Option<String> {
        let mut brew = Command::new("brew");
        let answer = brew.args(["--prefix", "--installed", "openblas"]).output();
        let answer = answer.ok().filter(|answer| answer.status.success())?;
        Some(String::from_utf8(answer.stdout).ok()?.trim().to_owned())
    }

    fn is_cross_build() -> bool {
        env::var_os("HOST") != env::var_os("TARGET")
    }

    /// Whether a program that asks for OpenBLAS links: the library may lie in a folder that the
    /// linker searches anyway.
    fn found_by_linker() -> bool {
        let source = Path::new(&env::var_os("OUT_DIR").unwrap_or_default()).join("probe.c");
        let program = source.with_extension("out");
        let mut cc = Command::new("cc");
        cc.arg(&source).arg("-lopenblas").arg("-o").arg(&program);
        let quiet = cc.stdin(Stdio::null()).stdout(Stdio::null());
        std::fs::write(&source, "int main(void) { return 0; }\n").is_ok()
            && quiet
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
    }
}
