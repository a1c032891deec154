"""Pack a model into an artefact: `python -m search_plane.encoder.packing --help`.

Runs where the model is exported, once a revision; probes are computed on the CPU from the model itself, so look at
the vectors' quality before, not after.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from search_plane.encoder.artefact import DIGEST_PREFIX, FloatArray, Probe, write_artefact
from search_plane.encoder.pooling import normalised
from search_plane.encoder.session import OnnxSession
from search_plane.encoder.tokenising import TextTokeniser
from search_plane.release.models import KNOWN_MODELS, KnownModel, known_model

# Han, Latin, capitals, full-width forms and digits: what a tokenizer or a pooling gone wrong cannot get right.
PROBE_TEXTS = (
    "便宜的蓝牙耳机",
    "适合送老人的保健品",
    "小米手机充电器",
    "Redmi USB-C 快充数据线 ５Ａ 2米装",
    "五常大米 5KG 东北香米 新米",
)
# Six places: within 1e-6 of what other machines compute, and a file that a person can read.
PROBE_PLACES = 6
# Chinese BERT vocabularies have neither capitals nor full-width forms: `USB`, `5KG` and `１２８` would be [UNK].
_NORMALISER: dict[str, Any] = {
    "type": "Sequence",
    "normalizers": [
        {"type": "NFKC"},
        {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
    ],
}


def normalising_tokenizer(published: bytes) -> bytes:
    """A BERT tokenizer's JSON with NFKC and lower case folded in; the same bytes for the same input."""
    return orjson.dumps({**orjson.loads(published), "normalizer": _NORMALISER})


def probes_of(model_onnx: Path, tokenizer_json: bytes, model: KnownModel) -> tuple[Probe, ...]:
    """Probes as the model gives them here, each text by itself, as the encoder computes them too.

    Raises SessionError where the graph has another shape than `model`.
    """
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = Path(folder) / "tokenizer.json"
        tokenizer.write_bytes(tokenizer_json)
        ids = TextTokeniser(tokenizer, model.max_tokens).encode(PROBE_TEXTS)
    session = OnnxSession(model_onnx, model.pooling, model.dimension, threads=1)
    vectors: FloatArray = normalised(np.concatenate([session.run([one]) for one in ids]))
    return tuple(
        Probe(text=text, vector=tuple(round(float(component), PROBE_PLACES) for component in vector))
        for text, vector in zip(PROBE_TEXTS, vectors, strict=True)
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the artefact and print its pin."""
    parser = argparse.ArgumentParser(prog="search_plane.encoder.packing", description=main.__doc__)
    parser.add_argument("--model", choices=sorted(KNOWN_MODELS), required=True)
    parser.add_argument("--revision", required=True, help="your name for these weights")
    parser.add_argument("--onnx", type=Path, required=True, help="graph with last_hidden_state as its output")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json as published")
    parser.add_argument("--precision", choices=["fp32", "fp16", "int8"], default="fp32")
    parser.add_argument("--source", required=True, help="where the weights are from")
    parser.add_argument(
        "--as-published", action="store_true", help="leave the tokenizer's normaliser as it is"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write the artefact into")
    chosen = parser.parse_args(arguments)
    model = known_model(chosen.model)
    published = chosen.tokenizer.read_bytes()
    tokenizer = published if chosen.as_published else normalising_tokenizer(published)
    digest = write_artefact(
        chosen.out,
        model_onnx=chosen.onnx.read_bytes(),
        tokenizer_json=tokenizer,
        probes=probes_of(chosen.onnx, tokenizer, model),
        model=model.name,
        revision=chosen.revision,
        dimension=model.dimension,
        pooling=model.pooling,
        max_tokens=model.max_tokens,
        precision=chosen.precision,
        source=chosen.source,
        licence=model.licence,
    )
    sys.stdout.write(f"{DIGEST_PREFIX}{digest}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
