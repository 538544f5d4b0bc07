#!/bin/sh
# Trains two networks for 50 steps in f32 and f64, in the parallel and in the single-threaded build,
# and compares the bits of all parameters: with OpenBLAS, and without a BLAS.
set -eu
cd "$(dirname "$0")/.."

digests() { # the features of a build
    cargo test -q -p bn-net --no-default-features --features "$1" --test same_bits >&2
    cat "${CARGO_TARGET_DIR:-target}"/tmp/same_bits-*
}

for blas in openblas,lapack ''; do
    parallel=$(digests "$blas,parallel")
    single=$(digests "$blas")
    if [ "$parallel" != "$single" ]; then
        printf 'The parallel build:\n%s\nThe single-threaded build:\n%s\nThe bits differ.\n' \
            "$parallel" "$single" >&2
        exit 1
    fi
    printf 'The same bits with and without threads:\n%s\n' "$parallel"
done
