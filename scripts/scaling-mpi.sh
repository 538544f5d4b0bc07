#!/bin/sh
# Measures training steps at 1, 2 and 4 ranks of one thread, in turns, and predicts larger jobs.
set -eu
cd "$(dirname "$0")/.."
. scripts/mpi-root.sh
features=$(sh scripts/features.sh)
sh scripts/mpi.sh
rounds=${1:-3}
out=$PWD/target/bench/scaling-mpi.json
mkdir -p target/bench
rm -f "$out"
cargo build --release -p bn-dist $features --features mpi,png --example scaling_mpi
program=target/release/examples/scaling_mpi
round=0
while [ "$round" -lt "$rounds" ]; do
    for case in big discriminator; do
        for ranks in 1 2 4; do
            # Ranks beyond the processors share them.
            env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE RAYON_NUM_THREADS=1 \
                mpirun -n "$ranks" --oversubscribe --bind-to none \
                "$program" measure --out "$out" --steps 7 --only "$case"
        done
    done
    round=$((round + 1))
done
"$program" report --from "$out" --picture target/bench/scaling-mpi.png
