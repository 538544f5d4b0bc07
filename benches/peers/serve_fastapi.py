"""The API of `bn serve` in the plainest Python: FastAPI, uvicorn and onnxruntime. It answers POST /v1/predict with
{"image": [...]} or {"images": [[...], ...]} for pixels from 0 to 255, each image as one array.

    pip install fastapi uvicorn onnxruntime numpy
    python serve_fastapi.py model.onnx [PORT]

The model takes pixels from 0 to 1, `(N, D)` or `(N, C, H, W)`, and returns logits. The load is that of
`cargo run --release -p bn-serve --example load`.
"""

import sys

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

path = sys.argv[1]
port = int(sys.argv[2]) if len(sys.argv) > 2 else 8001
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
model_input = session.get_inputs()[0]
shape = [-1] + [int(size) for size in model_input.shape[1:]]
app = FastAPI()


class Request(BaseModel):
    image: list[float] | None = None
    images: list[list[float]] | None = None


@app.post("/v1/predict")
def predict(request: Request):
    images = request.images if request.images is not None else [request.image]
    x = (np.array(images, dtype=np.float32) / 255).reshape(shape)
    (logits,) = session.run(None, {model_input.name: x})
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exp / exp.sum(axis=1, keepdims=True)
    return {
        "predictions": [
            {"class": str(p.argmax()), "label": int(p.argmax()), "probabilities": p.tolist()}
            for p in probabilities
        ]
    }


uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
