#!/bin/sh
# Installs OpenBLAS with the system's package manager if it is missing. Then prints the cargo flags for
# the build that this machine supports: nothing for the default build, or the flags of the pure-Rust
# build if OpenBLAS cannot be installed. Messages go to standard error.
set -u

say() { printf '%s\n' "$*" >&2; }

have_openblas() {
    if command -v pkg-config >/dev/null 2>&1 && pkg-config --exists openblas; then
        return 0
    fi
    # The linker does not search the folder where Homebrew installs OpenBLAS; the build asks brew for it.
    if command -v brew >/dev/null 2>&1; then
        brew --prefix --installed openblas >/dev/null 2>&1
        return
    fi
    # Without pkg-config, the linker may still find it.
    probe=$(mktemp -d) || return 1
    echo 'int main(void) { return 0; }' >"$probe/probe.c"
    cc "$probe/probe.c" -lopenblas -o "$probe/probe" >/dev/null 2>&1
    found=$?
    rm -rf "$probe"
    return $found
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif ! command -v sudo >/dev/null 2>&1; then
        say "Not root, and there is no sudo: cannot run: $*"
        return 1
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

install_openblas() {
    if command -v apt-get >/dev/null 2>&1; then
        say 'OpenBLAS was not found: installing libopenblas-dev and pkg-config with apt-get.'
        as_root apt-get update -qq >&2
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq libopenblas-dev pkg-config >&2
    elif command -v dnf >/dev/null 2>&1; then
        say 'OpenBLAS was not found: installing openblas-devel and pkgconf-pkg-config with dnf.'
        as_root dnf install -y -q openblas-devel pkgconf-pkg-config >&2
    elif command -v brew >/dev/null 2>&1; then
        say 'OpenBLAS was not found: installing openblas, libomp and pkgconf with Homebrew.'
        brew install -q openblas libomp pkgconf >&2
    else
        say 'OpenBLAS was not found, and there is no apt-get, dnf or brew to install it with.'
        return 1
    fi
}

have_openblas || install_openblas
if ! have_openblas; then
    say 'OpenBLAS is not available: using the pure-Rust matrix product, which is slower.'
    echo '--no-default-features --features parallel,download,progress,csv,png'
fi
