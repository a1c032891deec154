"""Export a sentence-transformers model as an artefact: `python -m search_plane encoder export --help`.

Needs the `export` extra (torch), which the server's image does not hold. What is written has been compared with
sentence-transformers' own vectors first.
"""

import argparse
import sys
import tempfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from search_plane.encoder.artefact import DIGEST_PREFIX, write_artefact
from search_plane.encoder.converting import converted, fused
from search_plane.encoder.onnx_graph import trace
from search_plane.encoder.packing import PROBE_TEXTS, normalising_tokenizer, probes_of
from search_plane.encoder.pooling import FloatArray, normalised
from search_plane.encoder.session import OnnxSession
from search_plane.encoder.tokenising import TextTokeniser
from search_plane.release.identity import Pooling, Precision
from search_plane.release.models import KNOWN_MODELS, KnownModel

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Least cosine to sentence-transformers' own vector, by precision; int8's is what dynamic quantisation leaves.
LEAST_COSINE: dict[Precision, float] = {"fp32": 0.9999, "fp16": 0.999, "int8": 0.95}


class ExportRefused(Exception):
    """The model is not what it was said to be, or its export does not give its vectors; one line."""


def export(
    published: "SentenceTransformer",
    model: KnownModel,
    *,
    revision: str,
    precision: Precision,
    source: str,
    out: Path,
    fuse: bool = True,
    as_published: bool = False,
) -> str:
    """Write the artefact and return its digest (hex).

    `fuse` replaces groups of operators by ONNX Runtime's own; `as_published` leaves the tokenizer's normaliser.
    Raises ExportRefused where `published` has another dimension, pooling or length than `model`, or where the export's
    vectors are further from its own than LEAST_COSINE.
    """
    _check(published, model)
    tokenizer = published.tokenizer.backend_tokenizer.to_str().encode()
    if not as_published:
        tokenizer = normalising_tokenizer(tokenizer)
    graph = traced(published)
    if fuse:
        configuration = published[0].auto_model.config
        graph = fused(graph, configuration.num_attention_heads, configuration.hidden_size)
    graph = converted(graph, precision)
    with tempfile.TemporaryDirectory() as folder:
        onnx, words = Path(folder) / "model.onnx", Path(folder) / "tokenizer.json"
        onnx.write_bytes(graph)
        words.write_bytes(tokenizer)
        cosines = cosines_to_published(published, onnx, words, model)
        if not cosines.min() >= LEAST_COSINE[precision]:
            raise ExportRefused(
                f"{model.name} {precision}: a vector of the export has a cosine of {cosines.min():.6f} to "
                f"sentence-transformers' own, expected at least {LEAST_COSINE[precision]}"
            )
        probes = probes_of(onnx, tokenizer, model)
    return write_artefact(
        out,
        model_onnx=graph,
        tokenizer_json=tokenizer,
        probes=probes,
        model=model.name,
        revision=revision,
        dimension=model.dimension,
        pooling=model.pooling,
        max_tokens=model.max_tokens,
        precision=precision,
        source=source,
        licence=model.licence,
    )


def traced(published: "SentenceTransformer") -> bytes:
    """The transformer as ONNX: token ids and masks in, last_hidden_state [batch, tokens, dimension] out."""
    return trace(
        published[0].auto_model,
        published.tokenizer.model_input_names,
        "last_hidden_state",
        {0: "batch", 1: "tokens"},
    )


def cosines_to_published(
    published: "SentenceTransformer", onnx: Path, tokenizer: Path, model: KnownModel
) -> FloatArray:
    """Cosine of each probe text's exported vector to sentence-transformers' own, with every prefix of the model.

    The texts are in NFKC and lower case already, so that a folded normaliser changes none of them.
    """
    plain = [unicodedata.normalize("NFKC", text).lower() for text in PROBE_TEXTS]
    texts = [
        prefix + text for prefix in sorted({"", model.query_prefix, model.document_prefix}) for text in plain
    ]
    own = np.asarray(published.encode(texts, normalize_embeddings=True), dtype=np.float32)
    tokeniser = TextTokeniser(tokenizer, model.max_tokens)
    session = OnnxSession(onnx, model.pooling, model.dimension, threads=1)
    exported = normalised(session.run([tokeniser.cut(ids) for ids in tokeniser.encode(texts)]))
    return np.asarray((own * exported).sum(axis=1), dtype=np.float32)


def pooling_of(published: "SentenceTransformer") -> Pooling:
    """How the model makes one vector of its tokens'. Raises ExportRefused for what the encoder doesn't know."""
    for module in published:
        told = module.get_config_dict() if hasattr(module, "get_config_dict") else {}
        modes = {name for name, on in told.items() if name.startswith("pooling_mode") and on is True}
        mode = told.get("pooling_mode")
        if modes == {"pooling_mode_cls_token"} or mode == "cls":
            return "cls"
        if modes == {"pooling_mode_mean_tokens"} or mode == "mean":
            return "mean"
        if modes or mode:
            raise ExportRefused(f"pooling: expected cls or mean, found {mode or ', '.join(sorted(modes))}")
    raise ExportRefused("pooling: the model has no pooling module")


def _check(published: "SentenceTransformer", model: KnownModel) -> None:
    found = {
        "dimension": (model.dimension, published.get_embedding_dimension()),
        "pooling": (model.pooling, pooling_of(published)),
    }
    for name, (expected, has) in found.items():
        if expected != has:
            raise ExportRefused(f"{name}: expected {expected} for {model.name}, the model has {has}")
    longest = published[0].auto_model.config.max_position_embeddings
    if model.max_tokens > longest:
        raise ExportRefused(
            f"max_tokens: {model.max_tokens} for {model.name}, the model has {longest} positions"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the artefact and print its pin; 1 with one line on stderr where it is refused."""
    parser = argparse.ArgumentParser(
        prog="search_plane encoder export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n"
        "  python -m search_plane encoder export --model m3e-base --from ./m3e-base --revision 1.0.0 \\\n"
        "      --precision fp16 --source 'moka-ai/m3e-base at <commit>' --out m3e-base-1.0.0",
    )
    add_model_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write the artefact into")
    chosen = parser.parse_args(arguments)
    check_source(parser, chosen)

    from sentence_transformers import SentenceTransformer

    published = SentenceTransformer(chosen.folder, revision=chosen.commit, device="cpu")
    try:
        digest = export(
            published,
            described_model(chosen, published),
            revision=chosen.revision,
            precision=chosen.precision,
            source=chosen.source,
            out=chosen.out,
            fuse=not chosen.no_fuse,
            as_published=chosen.as_published,
        )
    except ExportRefused as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{DIGEST_PREFIX}{digest}\n")
    return 0


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """What says which model is taken and what its artefact is to be: `encoder finetune` takes the same."""
    add = parser.add_argument
    add("--model", required=True, help=f"{', '.join(sorted(KNOWN_MODELS))}, or a name of your own")
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
    add("--licence", help="needed for a model of your own")
    add("--query-prefix", default="", help="of a model of your own")
    add("--document-prefix", default="", help="of a model of your own")
    add("--max-tokens", type=int, help="of a model of your own (default: what it says itself)")
    add("--as-published", action="store_true", help="leave the tokenizer's normaliser as it is")
    add("--no-fuse", action="store_true", help="leave the graph as traced")


def check_source(parser: argparse.ArgumentParser, chosen: argparse.Namespace) -> None:
    """End with a usage error where --from is neither a folder nor a name with a commit."""
    if chosen.commit is None and not Path(chosen.folder).is_dir():
        parser.error(f"--from {chosen.folder}: no such folder, and no --commit to take from the hub")


def described_model(chosen: argparse.Namespace, published: "SentenceTransformer") -> KnownModel:
    """The catalogue's entry, or one of the arguments'. Raises ExportRefused where those don't suffice."""
    if chosen.model in KNOWN_MODELS:
        return KNOWN_MODELS[chosen.model]
    if not chosen.licence:
        raise ExportRefused(f"--licence: needed for {chosen.model}, which is not in the catalogue of models")
    return KnownModel(
        name=chosen.model,
        dimension=int(published.get_embedding_dimension() or 0),
        pooling=pooling_of(published),
        query_prefix=chosen.query_prefix,
        document_prefix=chosen.document_prefix,
        max_tokens=chosen.max_tokens or int(published.max_seq_length or 512),
        licence=chosen.licence,
        source=chosen.source,
    )


if __name__ == "__main__":
    sys.exit(main())
