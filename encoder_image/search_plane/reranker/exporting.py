"""Export a cross-encoder as an artefact: `python -m search_plane encoder export-reranker --help`.

Needs the `export` extra (torch), which the server's image does not hold. What is written has been compared with
sentence-transformers' own scores first.
"""

import argparse
import sys
import tempfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from search_plane.encoder.artefact import DIGEST_PREFIX
from search_plane.encoder.converting import converted, fused
from search_plane.encoder.exporting import ExportRefused
from search_plane.encoder.onnx_graph import trace
from search_plane.encoder.packing import normalising_tokenizer
from search_plane.encoder.pooling import FloatArray
from search_plane.release.identity import Precision
from search_plane.reranker.artefact import PairProbe, write_reranker
from search_plane.reranker.pairs import PairTokeniser
from search_plane.reranker.session import CrossEncoderSession

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

# Pairs that fit and pairs that don't, so that the scores spread: what the export's scores are compared by.
PROBE_PAIRS: tuple[tuple[str, str], ...] = (
    ("便宜的蓝牙耳机", "小米 Redmi Buds 4 真无线蓝牙耳机 入耳式"),
    ("便宜的蓝牙耳机", "五常大米 5kg 东北香米 新米"),
    ("小米手机充电器", "小米 20W USB-C 快充充电器"),
    ("小米手机充电器", "黄小米 2.5kg 山西杂粮"),
    ("适合送老人的保健品", "中老年钙片 礼盒装 送长辈"),
    ("适合送老人的保健品", "儿童积木 益智玩具"),
)
# Most that a score may be off, as a part of the scores' spread (at least 1); int8's is what quantisation leaves.
MOST_OFF: dict[Precision, float] = {"fp32": 1e-3, "fp16": 2e-2, "int8": 0.2}
PROBE_PLACES = 5


def export(
    published: "CrossEncoder",
    *,
    name: str,
    revision: str,
    precision: Precision,
    source: str,
    licence: str,
    out: Path,
    max_tokens: int | None = None,
    fuse: bool = True,
    fold: bool = False,
) -> str:
    """Write the artefact and return its digest (hex). `max_tokens` is by default what the model takes, at most 512.

    `fold` puts NFKC and lower case into the tokenizer, as Chinese BERT vocabularies need.

    Raises ExportRefused where the model gives more than one score a pair, or the export's are further off than MOST_OFF.
    """
    if published.num_labels != 1:
        raise ExportRefused(f"{name}: gives {published.num_labels} scores a pair, expected 1")
    longest = min(int(published.max_seq_length or 512), 512) if max_tokens is None else max_tokens
    # So that sentence-transformers cuts where we do.
    published.max_seq_length = longest
    tokenizer = published.tokenizer.backend_tokenizer.to_str().encode()
    pairs = PROBE_PAIRS
    if fold:
        tokenizer = normalising_tokenizer(tokenizer)
        # Folded already, so that the tokenizer as published sees the same.
        pairs = tuple((_folded(query), _folded(text)) for query, text in PROBE_PAIRS)
    graph = trace(published.model, published.tokenizer.model_input_names, "logits", {0: "batch"})
    if fuse:
        configuration = published.model.config
        graph = fused(graph, configuration.num_attention_heads, configuration.hidden_size)
    graph = converted(graph, precision)
    own = own_scores(published, pairs)
    scores = _scores(graph, tokenizer, longest, pairs)
    most = MOST_OFF[precision] * max(1.0, float(np.ptp(own)))
    off = float(np.abs(scores - own).max())
    if not off <= most:
        raise ExportRefused(
            f"{name} {precision}: a score of the export is {off:.5f} off sentence-transformers' own, "
            f"at most {most:.5f} is taken"
        )
    return write_reranker(
        out,
        model_onnx=graph,
        tokenizer_json=tokenizer,
        probes=[
            PairProbe(query=query, text=text, score=round(float(score), PROBE_PLACES))
            for (query, text), score in zip(pairs, scores, strict=True)
        ],
        model=name,
        revision=revision,
        max_tokens=longest,
        precision=precision,
        source=source,
        licence=licence,
    )


def own_scores(published: "CrossEncoder", pairs: Sequence[tuple[str, str]]) -> FloatArray:
    """float32 [pairs]: sentence-transformers' scores before any sigmoid."""
    import torch

    return np.asarray(published.predict(list(pairs), activation_fn=torch.nn.Identity()), dtype=np.float32)


def _scores(graph: bytes, tokenizer: bytes, max_tokens: int, pairs: Sequence[tuple[str, str]]) -> FloatArray:
    with tempfile.TemporaryDirectory() as folder:
        onnx, words = Path(folder) / "model.onnx", Path(folder) / "tokenizer.json"
        onnx.write_bytes(graph)
        words.write_bytes(tokenizer)
        rows, _ = PairTokeniser(words, max_tokens).encode(pairs)
        session = CrossEncoderSession(onnx, threads=1)
        # One at a time, as an encoder's probes: with int8 a score depends a little on the pairs beside it.
        return np.array([session.run([row])[0, 0] for row in rows], dtype=np.float32)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the artefact and print its pin; 1 with one line on stderr where it is refused."""
    parser = argparse.ArgumentParser(
        prog="search_plane encoder export-reranker",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n"
        "  python -m search_plane encoder export-reranker --name ms-marco-minilm-l-12-v2 --from ./minilm \\\n"
        "      --revision 1 --licence Apache-2.0 --source 'cross-encoder/ms-marco-MiniLM-L12-v2 at <commit>' \\\n"
        "      --out minilm-1",
    )
    add = parser.add_argument
    add("--name", required=True, help="what the artefact calls the model")
    add(
        "--from",
        dest="folder",
        required=True,
        help="the model's folder, or its name on the hub at a --commit",
    )
    add("--commit", help="the hub's commit; without it only a folder is taken")
    add("--revision", required=True, help="your name for these weights")
    add("--precision", choices=["fp32", "fp16", "int8"], default="fp32", help="(default: fp32)")
    add("--source", required=True, help="where the weights are from, for people")
    add("--licence", required=True)
    add("--max-tokens", type=int, help="of both texts together (default: what the model says, at most 512)")
    add("--fold", action="store_true", help="NFKC and lower case first, for Chinese BERT vocabularies")
    add("--no-fuse", action="store_true", help="leave the graph as traced")
    add("--out", type=Path, required=True, help="folder to write the artefact into")
    chosen = parser.parse_args(arguments)
    if chosen.commit is None and not Path(chosen.folder).is_dir():
        parser.error(f"--from {chosen.folder}: no such folder, and no --commit to take from the hub")

    from sentence_transformers import CrossEncoder

    try:
        digest = export(
            CrossEncoder(chosen.folder, revision=chosen.commit, device="cpu"),
            name=chosen.name,
            revision=chosen.revision,
            precision=chosen.precision,
            source=chosen.source,
            licence=chosen.licence,
            out=chosen.out,
            max_tokens=chosen.max_tokens,
            fuse=not chosen.no_fuse,
            fold=chosen.fold,
        )
    except ExportRefused as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{DIGEST_PREFIX}{digest}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
