#!/bin/sh
# Compares the load that `bn serve` and the plainest Python server (benches/peers/serve_fastapi.py) bear with the same
# model of MNIST: 64 connections for 30 s each, in turns, as often as the first argument says (3 times by default).
# BN_PYTHON is a Python with fastapi, uvicorn, onnxruntime and numpy; BN_DATA_DIR the folder of MNIST.
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-3}
seconds=${2:-30}
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
python=${BN_PYTHON:?the path of a Python with fastapi, uvicorn, onnxruntime and numpy}
cargo build --release --quiet -p bn-cli -p bn-serve --bins --examples
folder=$(mktemp -d)
trap 'kill $server $peer 2>/dev/null; rm -rf "$folder"' EXIT
server= peer=
bn=target/release/bn
$bn train --data mnist --epochs 1 --quiet --output "$folder/model.safetensors"
$bn convert "$folder/model.safetensors" "$folder/model.onnx" --quiet
# An image with a stroke, as one array of 784 pixels.
"$python" - "$folder/body.json" <<'PY'
import json, sys
image = [[0] * 28 for _ in range(28)]
for i in range(4, 24):
    image[i][13:15] = [250 - i, 180 + i]
json.dump({"image": sum(image, [])}, open(sys.argv[1], "w"))
PY
$bn serve "$folder/model.safetensors" --address 127.0.0.1:8765 >/dev/null &
server=$!
"$python" benches/peers/serve_fastapi.py "$folder/model.onnx" 8766 &
peer=$!
load() { # the name, the process, the port
    memory=$(sed -n 's/VmRSS:\s*//p' "/proc/$2/status")
    printf '%-8s' "$1"
    target/release/examples/load "http://127.0.0.1:$3/v1/predict" "$folder/body.json" 64 "$seconds"
    echo "        memory $memory before, $(sed -n 's/VmRSS:\s*//p' "/proc/$2/status") after"
}
for port in 8765 8766; do
    while ! curl -s -o "$folder/$port" -H 'Content-Type: application/json' -d "@$folder/body.json" \
        "http://127.0.0.1:$port/v1/predict"; do sleep 0.2; done
    echo "$port: $(cut -c1-160 "$folder/$port")"
done
i=0
while [ "$i" -lt "$rounds" ]; do
    load bn "$server" 8765
    load fastapi "$peer" 8766
    i=$((i + 1))
done
