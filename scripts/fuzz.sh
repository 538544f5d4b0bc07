#!/bin/sh
# Fuzzes the readers of files and requests: each target of fuzz/ runs for so many seconds (a minute each), or for so
# many inputs:
#
#     scripts/fuzz.sh [SECONDS | runs=N] [TARGET…]
#
# Any crash, failed check, hang over 10 s, or more memory than a target allows fails; the input is then
# kept in target/fuzz. Needs a C++ compiler, which builds libFuzzer.
set -eu
cd "$(dirname "$0")/.."
case ${1:-60} in
runs=*) length=-runs=${1#runs=} ;;
*) length=-max_total_time=${1:-60} ;;
esac
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- idx csv npz checkpoint onnx state_dict predict

# The coverage counters that libFuzzer reads, by flags of the stable compiler.
coverage='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
-Cllvm-args=-sanitizer-coverage-trace-compares'
host=$(rustc -vV | sed -n 's/^host: //p')
# With --target, build scripts are compiled without the flags.
RUSTFLAGS=$(echo "$coverage" | tr '\n' ' ') cargo build --release \
    --manifest-path fuzz/Cargo.toml --target "$host" --target-dir target/fuzz

for name; do
    program=target/fuzz/$host/release/$name
    corpus=target/fuzz/corpus/$name
    mkdir -p "$corpus"
    BN_FUZZ_SEEDS=$corpus "$program" >/dev/null 2>&1
    dict=
    [ ! -e "fuzz/$name.dict" ] || dict=-dict=fuzz/$name.dict
    echo "== $name: $length"
    "$program" "$corpus" "$length" -max_len=4096 -timeout=10 -rss_limit_mb=512 \
        -artifact_prefix=target/fuzz/ -print_final_stats=1 -print_funcs=0 -verbosity=0 $dict
done
