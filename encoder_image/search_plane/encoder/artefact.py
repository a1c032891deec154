"""The artefact: a folder with a model, its tokenizer and its probes, pinned by its manifest's digest."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar

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


class Described(Frozen):
    """What every artefact's manifest.json tells. `files` maps each file's name to the hex sha256 of its bytes."""

    kind: str
    model: str
    revision: str
    max_tokens: int
    precision: Precision
    files: Mapping[str, str]
    source: str
    licence: str


class Manifest(Described):
    """manifest.json of an encoder."""

    kind: Literal["semanticsearch.io/encoder-artefact.v1"] = MANIFEST_KIND
    dimension: int
    pooling: Pooling


class Probe(Frozen):
    """A text and its normalised vector (float32, no prefix) as the healthy model gives it."""

    text: str
    vector: tuple[float, ...]


M = TypeVar("M", bound=Described)
P = TypeVar("P", bound=Frozen)
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
    return write_files(
        directory,
        {
            MODEL_FILE: model_onnx,
            TOKENIZER_FILE: tokenizer_json,
            PROBES_FILE: orjson.dumps([probe.model_dump() for probe in probes]) + b"\n",
        },
        lambda files: Manifest(
            model=model,
            revision=revision,
            dimension=dimension,
            pooling=pooling,
            max_tokens=max_tokens,
            precision=precision,
            files=files,
            source=source,
            licence=licence,
        ),
    )


def write_files(
    directory: Path, contents: Mapping[str, bytes], manifest: Callable[[Mapping[str, str]], Described]
) -> str:
    """Write files by name, then the manifest that `manifest` makes of their sha256; returns its digest (hex)."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    told = manifest({name: hashlib.sha256(content).hexdigest() for name, content in contents.items()})
    text = orjson.dumps(told.model_dump(), option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2) + b"\n"
    (directory / MANIFEST_FILE).write_bytes(text)
    return hashlib.sha256(text).hexdigest()


def load_artefact(directory: Path, expected_digest: str | None) -> Artefact:
    """Read and verify an artefact: the manifest against its digest, each file against the manifest.

    `expected_digest` is hex; None takes any. Raises ArtefactError with the file, what was expected and found.
    """
    manifest, digest = verified_manifest(directory, expected_digest, Manifest)
    probes = read_probes(directory, _PROBES)
    _check_probes(probes, manifest.dimension)
    return Artefact(
        directory=directory,
        manifest=manifest,
        digest=digest,
        probe_texts=tuple(probe.text for probe in probes),
        probe_vectors=np.asarray([probe.vector for probe in probes], dtype=np.float32),
    )


def verified_manifest(directory: Path, expected_digest: str | None, kind: type[M]) -> tuple[M, str]:
    """The manifest and its digest (hex), each file that it names checked; raises ArtefactError like `load_artefact`."""
    text = _read(directory / MANIFEST_FILE)
    digest = hashlib.sha256(text).hexdigest()
    if expected_digest is not None and digest != expected_digest:
        raise ArtefactError(
            f"{directory / MANIFEST_FILE}: expected sha256 {expected_digest}, found {digest}: "
            "these are not the weights that the identity pins"
        )
    try:
        manifest = kind.model_validate_json(text)
    except ValidationError as error:
        raise ArtefactError(f"{directory / MANIFEST_FILE}: {_first(error)}") from error
    missing = {MODEL_FILE, TOKENIZER_FILE, PROBES_FILE} - set(manifest.files)
    if missing:
        raise ArtefactError(f"{directory / MANIFEST_FILE}: names no {', '.join(sorted(missing))}")
    for name, expected in sorted(manifest.files.items()):
        found = _sha256(directory / name)
        if found != expected:
            raise ArtefactError(f"{directory / name}: expected sha256 {expected}, found {found}")
    return manifest, digest


def read_probes(directory: Path, kind: TypeAdapter[tuple[P, ...]]) -> tuple[P, ...]:
    """The probes of that kind; raises ArtefactError."""
    try:
        return kind.validate_json(_read(directory / PROBES_FILE))
    except ValidationError as error:
        raise ArtefactError(f"{directory / PROBES_FILE}: {_first(error)}") from error


def pinned_digest(weights: str) -> str | None:
    """The hex digest that an identity's `weights` pin the artefact by; None where they pin an image instead.

    Raises ArtefactError where they are neither `artefact:sha256:<64 hex>` nor `image:sha256:<64 hex>`.
    """
    for prefix, ours in ((DIGEST_PREFIX, True), ("image:sha256:", False)):
        digest = weights.removeprefix(prefix)
        if digest != weights and len(digest) == 64 and set(digest) <= set("0123456789abcdef"):
            return digest if ours else None
    raise ArtefactError(
        f"weights of the identity: expected artefact:sha256:<64 hex> or image:sha256:<64 hex>, found {weights!r}"
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


def check_number(probes: Sequence[object]) -> None:
    """Raise ArtefactError for fewer than three probes."""
    if len(probes) < MIN_PROBES:
        raise ArtefactError(f"{PROBES_FILE}: expected at least {MIN_PROBES} probes, found {len(probes)}")


def _check_probes(probes: Sequence[Probe], dimension: int) -> None:
    check_number(probes)
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
