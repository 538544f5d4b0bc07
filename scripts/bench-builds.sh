#!/bin/sh
# Compares three builds in one sitting: the default one, the single-threaded one, and the one without
# a BLAS. Their programs take turns, so that a machine that slows down for a while affects all three.
# Prints a Markdown table of the medians of ROUNDS rounds (default: 7), and writes it to target/bench.
set -eu
cd "$(dirname "$0")/.."
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
rounds=${ROUNDS:-7}
case $rounds in
'' | *[!0-9]* | 0*)
    echo "ROUNDS must be a number of at least 1, not '$rounds'." >&2
    exit 2
    ;;
esac
if [ -n "$(sh scripts/features.sh)" ]; then
    echo 'Two of the three builds need OpenBLAS: install it first.' >&2
    exit 1
fi

# Builds benches/repeat.rs and prints the path of the program. Each set of features has its own program.
build() {
    cargo bench --no-run --bench repeat --message-format json "$@" |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p'
}
default=$(build)
single=$(build --no-default-features --features openblas,lapack)
pure=$(build --no-default-features --features parallel)

folder=${CARGO_TARGET_DIR:-target}/bench
mkdir -p "$folder"
times=$(mktemp)
trap 'rm -f "$times"' EXIT

round=0
while [ "$round" -lt "$rounds" ]; do
    round=$((round + 1))
    [ ! -t 2 ] || printf '\rround %d of %d' "$round" "$rounds" >&2
    for work in 'step-book 200' 'step-mid 10' 'step-big 1' 'bn-forward 100' 'bn-backward 100'; do
        for program in "$default" "$single" "$pure"; do
            # shellcheck disable=SC2086 # the work and its number of calls
            printf '%s %s %s\n' "${work% *}" "$program" "$("$program" $work)" >>"$times"
        done
    done
done
[ ! -t 2 ] || printf '\r\033[K' >&2

{
    "$default" # prints what the measurements depend on
    echo
    awk -v default="$default" -v single="$single" -v pure="$pure" '
        function median(key, n, i, j, v, t) {
            n = split(seconds[key], v, " ")
            for (i = 2; i <= n; i++)
                for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) {
                    t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
                }
            return n % 2 ? v[(n + 1) / 2] + 0 : (v[n / 2] + v[n / 2 + 1]) / 2
        }
        function ms(s) { return sprintf(s < 1e-3 ? "%.3f ms" : s < 1e-2 ? "%.2f ms" : "%.1f ms", 1e3 * s) }
        !($1 in seen) { seen[$1]; works[++count] = $1 }
        { seconds[$1, $2] = seconds[$1, $2] " " $3 }
        END {
            row = "| %-11s | %9s | %15s | %9s | %19s | %17s |\n"
            printf row, "work", "default", "single-threaded", "pure Rust", "speed-up by threads", "cost of pure Rust"
            print "|-------------|----------:|----------------:|----------:|--------------------:|------------------:|"
            for (i = 1; i <= count; i++) {
                w = works[i]
                d = median(w SUBSEP default); s = median(w SUBSEP single); p = median(w SUBSEP pure)
                printf row, w, ms(d), ms(s), ms(p), sprintf("%.2f", s / d), sprintf("%.2f", p / d)
            }
        }' "$times"
} | tee "$folder/builds.md"
printf '\nThe table is in %s\n' "$folder/builds.md"
