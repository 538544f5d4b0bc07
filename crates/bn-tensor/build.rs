//! Looks for OpenBLAS before the linker does, so that its absence ends in a message that says what
//! to do rather than in `cannot find -lopenblas`.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

const HELP: &str = "\
OpenBLAS was not found. Install it:
    Debian, Ubuntu   apt-get install libopenblas-dev pkg-config
    Fedora           dnf install openblas-devel pkgconf-pkg-config
    macOS            brew install openblas libomp pkgconf
    Windows          vcpkg install openblas (MSVC), or pacman -S mingw-w64-x86_64-openblas (MSYS2)
or build without it, in pure Rust:
    cargo build --no-default-features --features parallel
or with OpenBLAS compiled from source (needs a C and a Fortran compiler, and the network):
    cargo build --no-default-features --features parallel,openblas-static
In Cargo.toml: default-features = false, features = [\"parallel\"].";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for variable in ["PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR", "LIBRARY_PATH"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let set = |name| env::var_os(name).is_some();
    let links_system_library = set("CARGO_FEATURE_OPENBLAS") && !set("DOCS_RS");
    let cross = env::var("HOST").ok() != env::var("TARGET").ok();
    if links_system_library && !cross && !found() {
        for line in HELP.lines() {
            println!("cargo::error={line}");
        }
    }
}

fn found() -> bool {
    if succeeds(Command::new("pkg-config").args(["--exists", "openblas"])) {
        return true;
    }
    if cfg!(target_os = "windows") {
        // openblas-src asks vcpkg or MSYS2; it cannot without one of these.
        return env::var_os("VCPKG_ROOT").is_some() || env::var_os("MSYSTEM").is_some();
    }
    if cfg!(target_os = "macos") {
        return succeeds(Command::new("brew").args(["--prefix", "--installed", "openblas"]));
    }
    // Without pkg-config the linker may still know the place.
    let source = Path::new(&env::var_os("OUT_DIR").unwrap_or_default()).join("probe.c");
    let program = source.with_extension("out");
    std::fs::write(&source, "int main(void) { return 0; }\n").is_ok()
        && succeeds(
            Command::new("cc")
                .arg(&source)
                .arg("-lopenblas")
                .arg("-o")
                .arg(&program),
        )
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
