"""A re-ranker's artefact: the same folder of pinned files as an encoder's, with pairs and scores as its probes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import orjson
from pydantic import TypeAdapter

from search_plane.encoder.artefact import (
    MODEL_FILE,
    PROBES_FILE,
    TOKENIZER_FILE,
    Described,
    check_number,
    read_probes,
    verified_manifest,
    write_files,
)
from search_plane.encoder.pooling import FloatArray
from search_plane.release.identity import Frozen, Precision

MANIFEST_KIND: Final = "semanticsearch.io/reranker-artefact.v1"


class RerankerManifest(Described):
    """manifest.json of a re-ranker; `max_tokens` counts those of both texts and the special ones."""

    kind: Literal["semanticsearch.io/reranker-artefact.v1"] = MANIFEST_KIND


class PairProbe(Frozen):
    """A pair and its score (the model's own, before the sigmoid) as the healthy model gives it."""

    query: str
    text: str
    score: float


_PROBES = TypeAdapter(tuple[PairProbe, ...])


@dataclass(frozen=True)
class RerankerArtefact:
    """A verified artefact. `digest` is hex sha256 of manifest.json; `probe_scores` is float32 [probes]."""

    directory: Path
    manifest: RerankerManifest
    digest: str
    probe_pairs: tuple[tuple[str, str], ...]
    probe_scores: FloatArray

    @property
    def model_path(self) -> Path:
        """The ONNX graph."""
        return self.directory / MODEL_FILE

    @property
    def tokenizer_path(self) -> Path:
        """The tokenizer, its normaliser included."""
        return self.directory / TOKENIZER_FILE


def write_reranker(
    directory: Path,
    *,
    model_onnx: bytes,
    tokenizer_json: bytes,
    probes: Sequence[PairProbe],
    model: str,
    revision: str,
    max_tokens: int,
    precision: Precision,
    source: str,
    licence: str,
) -> str:
    """Write the artefact's files and last its manifest; returns the digest (hex), equal for equal content.

    Raises ArtefactError for fewer than three probes.
    """
    check_number(probes)
    return write_files(
        directory,
        {
            MODEL_FILE: model_onnx,
            TOKENIZER_FILE: tokenizer_json,
            PROBES_FILE: orjson.dumps([probe.model_dump() for probe in probes]) + b"\n",
        },
        lambda files: RerankerManifest(
            model=model,
            revision=revision,
            max_tokens=max_tokens,
            precision=precision,
            files=files,
            source=source,
            licence=licence,
        ),
    )


def load_reranker(directory: Path, expected_digest: str | None) -> RerankerArtefact:
    """Read and verify an artefact. `expected_digest` is hex; None takes any. Raises ArtefactError."""
    manifest, digest = verified_manifest(directory, expected_digest, RerankerManifest)
    probes = read_probes(directory, _PROBES)
    check_number(probes)
    return RerankerArtefact(
        directory=directory,
        manifest=manifest,
        digest=digest,
        probe_pairs=tuple((probe.query, probe.text) for probe in probes),
        probe_scores=np.asarray([probe.score for probe in probes], dtype=np.float32),
    )
