#!/bin/sh
# Fuzzes the readers of files: each target of fuzz/ gets so many inputs (200,000 unless the first
# argument says otherwise). Any crash, failed check, hang over 10 s or use of more than 512 MiB fails;
# the input is then kept in target/fuzz. Needs a C++ compiler, which builds libFuzzer.
set -eu
cd "$(dirname "$0")/.."
runs=${1:-200000}

# The coverage counters that libFuzzer reads, by flags of the stable compiler.
coverage='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
-Cllvm-args=-sanitizer-coverage-trace-compares'
host=$(rustc -vV | sed -n 's/^host: //p')
# With --target, build scripts are compiled without the flags.
RUSTFLAGS=$(echo "$coverage" | tr '\n' ' ') cargo build --release \
    --manifest-path fuzz/Cargo.toml --target "$host" --target-dir target/fuzz

for name in idx checkpoint; do
    program=target/fuzz/$host/release/$name
    corpus=target/fuzz/corpus/$name
    mkdir -p "$corpus"
    BN_FUZZ_SEEDS=$corpus "$program" >/dev/null 2>&1
    dict=
    [ ! -e "fuzz/$name.dict" ] || dict=-dict=fuzz/$name.dict
    echo "== $name: $runs inputs"
    "$program" "$corpus" -runs="$runs" -max_len=4096 -timeout=10 -rss_limit_mb=512 \
        -artifact_prefix=target/fuzz/ -print_final_stats=1 -print_funcs=0 -verbosity=0 $dict
done
