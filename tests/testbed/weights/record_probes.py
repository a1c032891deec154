"""Record bge-small-zh-v1.5's probe vectors: `python -m tests.testbed.weights.record_probes`.

Needed once a model; the result is committed, so that the artefact's digest does not depend on the machine.
"""

import sys
import tempfile
from pathlib import Path

import orjson
from search_plane.encoder.pooling import normalised
from search_plane.encoder.session import OnnxSession
from search_plane.encoder.tokenising import TextTokeniser

from tests.testbed.weights.bge import MODEL, PROBES, normalising_tokenizer, original_files

TEXTS = (
    "便宜的蓝牙耳机",
    "适合送老人的保健品",
    "小米手机充电器",
    "Redmi USB-C 快充数据线 ５Ａ 2米装",
    "五常大米 5KG 东北香米 新米",
)
# Six places: within 1e-6 of what other machines compute, and a file that a person can read.
PLACES = 6


def main() -> int:
    """Compute and write the probes."""
    model, tokenizer = original_files()
    with tempfile.TemporaryDirectory() as scratch:
        graph, text = Path(scratch) / "model.onnx", Path(scratch) / "tokenizer.json"
        graph.write_bytes(model)
        text.write_bytes(normalising_tokenizer(tokenizer))
        session = OnnxSession(graph, MODEL.pooling, MODEL.dimension, threads=1)
        vectors = normalised(session.run(TextTokeniser(text, MODEL.max_tokens).encode(TEXTS)))
    probes = [
        {"text": text, "vector": [round(float(component), PLACES) for component in vector]}
        for text, vector in zip(TEXTS, vectors, strict=True)
    ]
    PROBES.write_bytes(orjson.dumps(probes) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
