#!/bin/sh
# Checks the licences, bans and sources of all dependencies (cargo-deny, deny.toml), known
# vulnerabilities where the network has the advisory database, and that each declared dependency is
# used (cargo-machete). Installs the two tools if they are missing.
set -eu
cd "$(dirname "$0")/.."

need() { # the tool, and cargo's flags for its installation
    tool=$1
    shift
    cargo "${tool#cargo-}" --version >/dev/null 2>&1 && return
    printf 'Installing %s.\n' "$tool" >&2
    # Without optimisation: the tool runs for a second, and would be compiled for minutes.
    CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug "$@" "$tool"
}

need cargo-deny --no-default-features
need cargo-machete
cargo deny --log-level error check licenses bans sources
if ! cargo deny --log-level error fetch db 2>/dev/null; then
    echo 'The advisory database cannot be reached: advisories are not checked.' >&2
else
    cargo deny --log-level error check advisories
fi
cargo machete
