#!/bin/sh
# Installs Open MPI with the system's package manager if there is no MPI, and what its Rust bindings need to be built.
set -u

say() { printf '%s\n' "$*" >&2; }

have_mpi() {
    command -v mpirun >/dev/null 2>&1 && command -v mpicc >/dev/null 2>&1
}

# bindgen loads it.
have_clang() {
    [ -n "${LIBCLANG_PATH:-}" ] || command -v clang >/dev/null 2>&1 ||
        ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib*/libclang*.so* /usr/lib/*/libclang*.so* 2>/dev/null | grep -q .
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        say "Not root, and there is no sudo: cannot run: $*"
        return 1
    fi
}

if have_mpi && have_clang; then
    exit 0
fi
if command -v apt-get >/dev/null 2>&1; then
    as_root apt-get update -qq && as_root apt-get install -y -qq libopenmpi-dev openmpi-bin libclang-dev >&2
elif command -v dnf >/dev/null 2>&1; then
    as_root dnf install -y openmpi-devel clang-devel >&2
elif command -v pacman >/dev/null 2>&1; then
    as_root pacman -S --noconfirm openmpi clang >&2
elif command -v brew >/dev/null 2>&1; then
    brew install open-mpi llvm >&2
fi
if ! have_mpi || ! have_clang; then
    say 'Install an MPI library with its compiler mpicc (Open MPI or MPICH), and libclang. Without them, ranks can be'
    say 'threads: cargo run --release -p bn-dist --features download --example mnist_mpi -- --simulate 2'
    exit 1
fi
