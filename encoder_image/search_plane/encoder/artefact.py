"""The artefact: a folder with a model, its tokenizer and its probes, pinned by its manifest's digest."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from search_plane.release.identity import EncoderIdentity, Frozen, Pooling, Precision

MANIFEST_KIND: Final = "semanticsearch.io/encoder-artefact.v1"
MANIFEST_FILE = "manifest.json"
MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
PROBES_FILE = "probes.json"
DIGEST_PREFIX = "artefact:sha256:"
MIN_PROBES = 3

FloatArray = NDArray[np.float32]


class ArtefactError(Exception):
    """The artefact is not what it should be; the message is one line with what was expected and found."""


class Manifest(Frozen):
    """manifest.json. `files` maps each file's name to the hex sha256 of its bytes."""

    kind: Literal["semanticsearch.io/encoder-artefact.v1"] = MANIFEST_KIND
    model: str
    revision: str
    dimension: int
    pooling: Pooling
    max_tokens: int
    precision: Precision
    files: Mapping[str, str]
    source: str
    licence: str


class Probe(Frozen):
    """A text and its normalised vector (float32, no prefix) as the healthy model gives it."""

    text: str
    vector: tuple[float, ...]


_PROBES = TypeAdapter(tuple[Probe, ...])


@dataclass(frozen=True)
class Artefact:
    """A verified artefact.

    `digest` is hex sha256 of manifest.json; `probe_vectors` is float32 [probes, dimension].
    """

    directory: Path
    manifest: Manifest
    digest: str
    probe_texts: tuple[str, ...]
    probe_vectors: FloatArray

    @property
    def model_path(self) -> Path:
        """The ONNX graph."""
        return self.directory / MODEL_FILE

    @property
    def tokenizer_path(self) -> Path:
        """The tokenizer, its normaliser included."""
        return self.directory / TOKENIZER_FILE


def write_artefact(
    directory: Path,
    *,
    model_onnx: bytes,
    tokenizer_json: bytes,
    probes: Sequence[Probe],
    model: str,
    revision: str,
    dimension: int,
    pooling: Pooling,
    max_tokens: int,
    precision: Precision,
    source: str,
    licence: str,
) -> str:
    """Write the artefact's files and last its manifest; returns the digest (hex), equal for equal content.

    The folder is made where it is missing. Raises ArtefactError for fewer than three probes.
    """
    _check_probes(probes, dimension)
    contents = {
        MODEL_FILE: model_onnx,
        TOKENIZER_FILE: tokenizer_json,
        PROBES_FILE: orjson.dumps([probe.model_dump() for probe in probes]) + b"\n",
    }
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    manifest = Manifest(
        model=model,
        revision=revision,
        dimension=dimension,
        pooling=pooling,
        max_tokens=max_tokens,
        precision=precision,
        files={name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
        source=source,
        licence=licence,
    )
    text = orjson.dumps(manifest.model_dump(), option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2) + b"\n"
    (directory / MANIFEST_FILE).write_bytes(text)
    return hashlib.sha256(text).hexdigest()


def load_artefact(directory: Path, expected_digest: str | None) -> Artefact:
    """Read and verify an artefact: the manifest against its digest, each file against the manifest.

    `expected_digest` is hex; None takes any. Raises ArtefactError with the file, what was expected and found.
    """
    text = _read(directory / MANIFEST_FILE)
    digest = hashlib.sha256(text).hexdigest()
    if expected_digest is not None and digest != expected_digest:
        raise ArtefactError(
            f"{directory / MANIFEST_FILE}: expected sha256 {expected_digest}, found {digest}: "
            "these are not the weights that the identity pins"
        )
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise ArtefactError(f"{directory / MANIFEST_FILE}: {_first(error)}") from error
    missing = {MODEL_FILE, TOKENIZER_FILE, PROBES_FILE} - set(manifest.files)
    if missing:
        raise ArtefactError(f"{directory / MANIFEST_FILE}: names no {', '.join(sorted(missing))}")
    for name, expected in sorted(manifest.files.items()):
        found = _sha256(directory / name)
        if found != expected:
            raise ArtefactError(f"{directory / name}: expected sha256 {expected}, found {found}")
    try:
        probes = _PROBES.validate_json(_read(directory / PROBES_FILE))
    except ValidationError as error:
        raise ArtefactError(f"{directory / PROBES_FILE}: {_first(error)}") from error
    _check_probes(probes, manifest.dimension)
    return Artefact(
        directory=directory,
        manifest=manifest,
        digest=digest,
        probe_texts=tuple(probe.text for probe in probes),
        probe_vectors=np.asarray([probe.vector for probe in probes], dtype=np.float32),
    )


def pinned_digest(identity: EncoderIdentity) -> str | None:
    """The hex digest that an identity pins the artefact by; None where it pins an image instead.

    Raises ArtefactError where `weights` is neither `artefact:sha256:<64 hex>` nor `image:sha256:<64 hex>`.
    """
    for prefix, ours in ((DIGEST_PREFIX, True), ("image:sha256:", False)):
        digest = identity.weights.removeprefix(prefix)
        if digest != identity.weights and len(digest) == 64 and set(digest) <= set("0123456789abcdef"):
            return digest if ours else None
    raise ArtefactError(
        f"weights of the identity: expected artefact:sha256:<64 hex> or image:sha256:<64 hex>, "
        f"found {identity.weights!r}"
    )


def check_identity(identity: EncoderIdentity, manifest: Manifest) -> None:
    """Raise ArtefactError where the identity asks for something that the artefact does not hold."""
    for name in ("dimension", "pooling", "precision"):
        asked, held = getattr(identity, name), getattr(manifest, name)
        if asked != held:
            raise ArtefactError(f"{name}: the identity says {asked}, the artefact of {manifest.model} {held}")
    if identity.max_tokens > manifest.max_tokens:
        raise ArtefactError(
            f"max_tokens: the identity says {identity.max_tokens}, "
            f"the artefact of {manifest.model} takes at most {manifest.max_tokens}"
        )


def _check_probes(probes: Sequence[Probe], dimension: int) -> None:
    if len(probes) < MIN_PROBES:
        raise ArtefactError(f"{PROBES_FILE}: expected at least {MIN_PROBES} probes, found {len(probes)}")
    for probe in probes:
        if len(probe.vector) != dimension:
            raise ArtefactError(
                f"{PROBES_FILE}: {probe.text!r}: expected {dimension} components, found {len(probe.vector)}"
            )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtefactError(f"{path}: expected a file, found {error.strerror or error}") from error


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ArtefactError(f"{path}: expected a file, found {error.strerror or error}") from error


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'content'}: {first['msg']}"
