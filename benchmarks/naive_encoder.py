"""What one writes in an afternoon, to measure against: FastAPI, one ONNX Runtime session, a run for each request.

`python -m benchmarks.naive_encoder --model model.onnx --tokenizer tokenizer.json --port 8000`
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from tokenizers import Tokenizer


class Question(BaseModel):
    """The body."""

    inputs: str | list[str]


def create_app(model: Path, tokenizer: Path, cls: bool) -> FastAPI:
    """The application; FastAPI runs its handler in a pool of threads."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    names = {node.name for node in session.get_inputs()}
    words = Tokenizer.from_file(str(tokenizer))
    words.enable_padding()
    words.enable_truncation(512)
    app = FastAPI()

    @app.get("/health")
    def health() -> dict[str, str]:
        """For whoever waits for the start."""
        return {}

    @app.post("/embed")
    def embed(question: Question) -> list[list[float]]:
        """Vectors of the texts."""
        texts = [question.inputs] if isinstance(question.inputs, str) else question.inputs
        encoded = words.encode_batch(texts)
        ids = np.array([one.ids for one in encoded], dtype=np.int64)
        mask = np.array([one.attention_mask for one in encoded], dtype=np.int64)
        held: dict[str, Any] = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(ids),
        }
        (hidden,) = session.run(None, {name: value for name, value in held.items() if name in names})[:1]
        kept = mask[:, :, None]
        pooled = hidden[:, 0] if cls else (hidden * kept).sum(1) / kept.sum(1)
        rows: list[list[float]] = (pooled / np.linalg.norm(pooled, axis=1, keepdims=True)).tolist()
        return rows

    return app


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.naive_encoder", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--cls", action="store_true", help="the first token's state instead of the mean")
    parser.add_argument("--port", type=int, required=True)
    chosen = parser.parse_args()
    app = create_app(chosen.model, chosen.tokenizer, chosen.cls)
    uvicorn.run(app, host="127.0.0.1", port=chosen.port, log_level="warning", access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
