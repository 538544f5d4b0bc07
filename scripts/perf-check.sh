#!/bin/sh
# Counts the instructions of fixed pieces of work with valgrind and compares them with
# benches/instructions.txt. It fails if a count is more than TOLERANCE percent (default: 3) above that
# file. `perf-check.sh write` writes the file again.
#
# It counts instructions because their number does not change on a noisy machine. It uses the
# single-threaded build without a BLAS, so that it counts only the code of this repository and not that
# of a library, which differs between machines. valgrind does not support AVX-512, so it counts the AVX2
# kernels.
set -eu
cd "$(dirname "$0")/.."
baseline=benches/instructions.txt
tolerance=${TOLERANCE:-3}

fail() {
    echo "$*" >&2
    exit 1
}
command -v valgrind >/dev/null 2>&1 ||
    fail 'valgrind was not found: install the package valgrind (Debian, Ubuntu, Fedora).'
awk -v t="$tolerance" 'BEGIN { exit !(t ~ /^[0-9]+(\.[0-9]+)?$/) }' ||
    fail "TOLERANCE must be a number of percent, not '$tolerance'."

# What the counts depend on besides the code.
here="$(rustc --version), $(uname -m)"
if [ "${1:-check}" = check ]; then
    [ -f "$baseline" ] || fail "There is no $baseline: run make perf-baseline to write it."
    there=$(sed -n 's/^# with //p' "$baseline")
    [ "${here##*, }" = "${there##*, }" ] ||
        fail "$baseline is for another processor ($there); this is $here."
    [ "$here" = "$there" ] ||
        echo "Counted with $here; the baseline with $there. Some changes may come from the compiler." >&2
elif [ "$1" != write ]; then
    fail 'perf-check.sh [check|write]'
fi

program=$(cargo bench --no-run --bench repeat --no-default-features --message-format json |
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
[ -n "$program" ] || fail 'cargo built no program: see the error above.'
log=$(mktemp)
counts=$(mktemp)
trap 'rm -f "$log" "$counts"' EXIT

instructions() { # work, calls
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --log-file="$log" \
        "$program" "$1" "$2" >/dev/null || { cat "$log" >&2; fail "$1 failed under valgrind."; }
    sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$log"
}

# Both runs include the instructions for starting, for filling buffers and for the first call.
calls=10
for work in step-book inference-1 inference-100 bn-forward bn-backward moments channel-sum dropout; do
    [ ! -t 2 ] || printf '\r\033[K%s' "$work" >&2
    few=$(instructions "$work" 0)
    many=$(instructions "$work" "$calls")
    echo "$work $(((many - few) / calls))" >>"$counts"
done
[ ! -t 2 ] || printf '\r\033[K' >&2

if [ "${1:-check}" = write ]; then
    {
        echo '# Instructions per call, single-threaded and without a BLAS: scripts/perf-check.sh'
        echo "# with $here"
        cat "$counts"
    } >"$baseline"
    echo "Wrote $baseline:"
    cat "$baseline"
    exit
fi

awk -v tolerance="$tolerance" '
    FNR == NR { if ($1 != "#") expected[$1] = $2; next }
    FNR == 1 { printf "%-14s %14s %14s %9s\n", "instructions", "now", "baseline", "change" }
    !($1 in expected) {
        printf "%-14s %14d %14s %9s   not in the baseline\n", $1, $2, "-", "-"
        missing = 1
        next
    }
    {
        change = 100 * ($2 / expected[$1] - 1)
        verdict = change > tolerance ? "   too many" : change < -tolerance ? "   fewer: make perf-baseline" : ""
        printf "%-14s %14d %14d %+8.2f %%%s\n", $1, $2, expected[$1], change, verdict
        if (change > tolerance) worse = 1
    }
    END {
        if (worse) print "\nMore instructions than the baseline by over " tolerance " %. If this is intended, run make perf-baseline."
        if (missing) print "\nThe baseline lacks some work: run make perf-baseline."
        exit worse || missing
    }' "$baseline" "$counts"
