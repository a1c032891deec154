"""An artefact on disk together with an identity that pins it; and how one of a known model is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search_plane.encoder.artefact import DIGEST_PREFIX, Probe, write_artefact
from search_plane.release.identity import EncoderIdentity, Precision
from search_plane.release.models import KnownModel

TEXT_TEMPLATE = "{brand} {title} {category}"


@dataclass(frozen=True)
class WeightsFolder:
    """What an encoder needs: `path` is its MODEL_DIR, `identity` its ENCODER_IDENTITY."""

    path: Path
    identity: EncoderIdentity

    @property
    def digest(self) -> str:
        """Hex sha256 of manifest.json."""
        return self.identity.weights.removeprefix(DIGEST_PREFIX)


def identity_of(
    model: KnownModel,
    *,
    revision: str,
    digest: str,
    precision: Precision = "fp32",
    text_template: str = TEXT_TEMPLATE,
) -> EncoderIdentity:
    """The identity that pins an artefact of a known model; `digest` is its manifest's hex sha256."""
    return EncoderIdentity(
        model=model.name,
        revision=revision,
        weights=f"{DIGEST_PREFIX}{digest}",
        dimension=model.dimension,
        pooling=model.pooling,
        query_prefix=model.query_prefix,
        document_prefix=model.document_prefix,
        max_tokens=model.max_tokens,
        precision=precision,
        text_template=text_template,
    )


def write_weights(
    folder: Path,
    model: KnownModel,
    *,
    model_onnx: bytes,
    tokenizer_json: bytes,
    probes: Sequence[Probe],
    revision: str,
    source: str,
    licence: str,
    precision: Precision = "fp32",
) -> WeightsFolder:
    """Write an artefact with a known model's properties. Raises ArtefactError for fewer than three probes."""
    digest = write_artefact(
        folder,
        model_onnx=model_onnx,
        tokenizer_json=tokenizer_json,
        probes=probes,
        model=model.name,
        revision=revision,
        dimension=model.dimension,
        pooling=model.pooling,
        max_tokens=model.max_tokens,
        precision=precision,
        source=source,
        licence=licence,
    )
    return WeightsFolder(folder, identity_of(model, revision=revision, digest=digest, precision=precision))
