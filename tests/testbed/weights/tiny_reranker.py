"""A tiny cross-encoder with random weights, of the shape of ms-marco-MiniLM: its scores mean nothing."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search_plane.encoder.artefact import DIGEST_PREFIX
from search_plane.reranker.artefact import PairProbe, write_reranker
from search_plane.reranker.pairs import PairTokeniser
from search_plane.reranker.session import CrossEncoderSession

from tests.testbed.weights.bert import BertShape, bert_graph
from tests.testbed.weights.tiny import tiny_tokenizer

TINY_RERANKER = "tiny-random-cross-encoder"
MAX_TOKENS = 48
_PAIRS = (
    ("便宜的蓝牙耳机", "小米蓝牙耳机 Air2"),
    ("大米", "五常大米5kg"),
    ("充电器", "小米20W充电器 Type-C"),
)


@dataclass(frozen=True)
class TinyReranker:
    """`path` is an encoder's RERANKER_DIR, `weights` its RERANKER_WEIGHTS."""

    path: Path
    weights: str


def write_tiny_reranker(directory: Path, seed: int = 3) -> TinyReranker:
    """Two layers of 32, a token a character, at most 48 tokens a pair; weights wide enough for scores that differ."""
    tokenizer = tiny_tokenizer()
    shape = BertShape(
        layers=2,
        hidden=32,
        heads=4,
        intermediate=64,
        vocabulary=tokenizer.get_vocab_size(),
        positions=MAX_TOKENS,
    )
    graph, words = bert_graph(shape, seed, scores=True, spread=0.4), tokenizer.to_str().encode()
    digest = write_reranker(
        directory,
        model_onnx=graph,
        tokenizer_json=words,
        probes=[
            PairProbe(query=query, text=text, score=score)
            for (query, text), score in zip(_PAIRS, scores(graph, words, _PAIRS), strict=True)
        ],
        model=TINY_RERANKER,
        revision=str(seed),
        max_tokens=MAX_TOKENS,
        precision="fp32",
        source="random weights, made by tests/testbed/weights/tiny_reranker.py",
        licence="none needed",
    )
    return TinyReranker(directory, f"{DIGEST_PREFIX}{digest}")


def scores(graph: bytes, tokenizer_json: bytes, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """The score of each pair, computed alone and rounded, so that the digest is the same on other machines."""
    with tempfile.TemporaryDirectory() as folder:
        model, words = Path(folder) / "model.onnx", Path(folder) / "tokenizer.json"
        model.write_bytes(graph)
        words.write_bytes(tokenizer_json)
        session = CrossEncoderSession(model, threads=1)
        rows, _ = PairTokeniser(words, MAX_TOKENS).encode(pairs)
        return [round(float(session.run([row])[0, 0]), 5) for row in rows]
